Invoke-Verb {
    $script:Step = 'check the window'
    $offset = [uint64]::Parse([string]$A.offset, $Invariant)
    $length = [uint64]::Parse([string]$A.length, $Invariant)
    if ($length -eq 0 -or $length -gt 68719476736) { Stop-Verb 64001 'a window is at most 64 GiB and not empty' }

    $script:Step = 'GetVirtualDiskChanges'
    $service = Get-HostService 'Msvm_ImageManagementService'
    $answer = Invoke-CimMethod -InputObject $service -MethodName GetVirtualDiskChanges -Arguments @{
        Path = [string]$A.path
        LimitId = [string]$A.rct_id
        ByteOffset = $offset
        ByteLength = $length
    }
    $code = [long]$answer.ReturnValue
    # 4096 would be a job whose answer cannot be had: it is not done with this method.
    if ($code -ne 0) { Stop-Verb $code 'GetVirtualDiskChanges was refused' }
    $offsets = @(Get-Optional $answer 'ChangedByteOffsets' @())
    $lengths = @(Get-Optional $answer 'ChangedByteLengths' @())
    if ($offsets.Count -ne $lengths.Count) { Stop-Verb 64007 'the host told other numbers of offsets and lengths' }
    $ranges = New-Object Text.StringBuilder
    for ($i = 0; $i -lt $offsets.Count; $i++) {
        if ($i) { [void]$ranges.Append(',') }
        [void]$ranges.Append('["').Append((Get-Number64 $offsets[$i])).Append('","')
        [void]$ranges.Append((Get-Number64 $lengths[$i])).Append('"]')
    }
    [void]$ranges.Insert(0, '[').Append(']')
    @{ value = @{ processed = Get-Number64 $answer.ProcessedByteLength; ranges = $ranges } }
}
