Invoke-Verb {
    $system = Get-MachineSystem $A.machine_id
    $script:Step = 'look for the video head'
    # Another size than the head's own would have black bars in it. Generation 1 has two heads.
    $chosen = $null
    $filter = "SystemName='$($system.Name)'"
    foreach ($head in @(Get-CimInstance -Namespace $Namespace -ClassName Msvm_VideoHead -Filter $filter)) {
        if (-not [int]$head.CurrentHorizontalResolution -or -not [int]$head.CurrentVerticalResolution) { continue }
        $controller = @(Get-CimAssociatedInstance -InputObject $head -ResultClassName Msvm_SyntheticDisplayController)
        if ($null -eq $chosen -or $controller.Count) { $chosen = $head }
    }
    if ($null -eq $chosen) { Stop-Verb 64008 'the machine shows nothing now' }
    $width = [uint16]$chosen.CurrentHorizontalResolution
    $height = [uint16]$chosen.CurrentVerticalResolution

    $script:Step = 'GetVirtualSystemThumbnailImage'
    $filter = "InstanceID='$(ConvertTo-WqlText "Microsoft:$($system.Name)")'"
    $settings = Get-Single 'Msvm_VirtualSystemSettingData' $filter 64002 'the machine has no configuration'
    $service = Get-HostService 'Msvm_VirtualSystemManagementService'
    $answer = Invoke-CimMethod -InputObject $service -MethodName GetVirtualSystemThumbnailImage -Arguments @{
        TargetSystem = $settings
        WidthPixels = $width
        HeightPixels = $height
    }
    $code = [long]$answer.ReturnValue
    if ($code -ne 0) { Stop-Verb $code 'GetVirtualSystemThumbnailImage was refused' }
    $pixels = [byte[]]@(Get-Optional $answer 'ImageData' @())
    if ($pixels.Length -eq 0) { Stop-Verb 64008 'the machine shows nothing now' }

    $script:Step = 'pack the picture'
    $packed = New-Object IO.MemoryStream
    $deflate = New-Object IO.Compression.DeflateStream($packed, [IO.Compression.CompressionMode]::Compress, $true)
    $deflate.Write($pixels, 0, $pixels.Length)
    $deflate.Dispose()
    @{ value = @{
        width = [int]$width
        height = [int]$height
        pixels = [Convert]::ToBase64String($packed.ToArray())
    } }
}
