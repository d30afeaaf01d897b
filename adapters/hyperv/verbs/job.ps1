Invoke-Verb {
    $script:Step = 'find the job'
    $filter = "InstanceID='$(ConvertTo-WqlText $A.job)'"
    $job = Get-Single 'Msvm_ConcreteJob' $filter 64005 'the host does not know this job any more'
    $state = [int]$job.JobState
    $isOver = @(2, 3, 4, 6) -notcontains $state

    $affected = @()
    $text = ''
    if ($isOver) {
        $script:Step = 'ask what the job made'
        $elements = @(Get-CimAssociatedInstance -InputObject $job -Association Msvm_AffectedJobElement)
        $affected = foreach ($element in $elements) {
            $id = [string](Get-Optional $element 'InstanceID' '')
            if (-not $id) { $id = [string](Get-Optional $element 'Name' '') }
            @{ class = [string]$element.CimClass.CimClassName; id = $id }
        }
        $script:Step = 'ask why the job failed'
        $text = [string](Get-Optional $job 'ErrorDescription' '')
        if (-not $text -and [int](Get-Optional $job 'ErrorCode' 0) -ne 0) {
            $told = @(Get-Optional (Invoke-CimMethod -InputObject $job -MethodName GetErrorEx) 'Errors' @())
            foreach ($line in $told) {
                if ([string]$line -match 'NAME="Message"[^>]*>\s*<VALUE>([^<]*)</VALUE>') { $text = $Matches[1] }
            }
        }
    }
    $percent = [int](Get-Optional $job 'PercentComplete' 0)
    @{ value = @{
        state = $state
        percent = [Math]::Max(0, [Math]::Min(100, $percent))
        error_code = [int](Get-Optional $job 'ErrorCode' 0)
        error_text = $text
        affected = [object[]]@($affected)
    } }
}
