Invoke-Verb {
    $system = Get-MachineSystem $A.machine_id
    $wanted = [int]$A.state
    if (@(2, 6) -notcontains $wanted) { Stop-Verb 64001 'a machine can be started (2) or saved (6)' }
    $script:Step = 'RequestStateChange'
    $job = ''
    if ([int]$system.EnabledState -ne $wanted) {
        $answer = Invoke-CimMethod -InputObject $system -MethodName RequestStateChange -Arguments @{
            RequestedState = [uint16]$wanted
        }
        $job = (Get-Started $answer '' 'RequestStateChange').job
    }
    @{ value = @{ job = $job } }
}
