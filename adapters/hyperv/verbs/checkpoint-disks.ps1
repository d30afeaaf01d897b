Invoke-Verb {
    $settings = Get-CheckpointSettings $A.machine_id $A.checkpoint
    $disks = foreach ($disk in (Get-AttachedDisks $settings)) {
        $script:Step = "Get-VHD $($disk.path)"
        $disk['disk_id'] = [string](Get-VHD -Path $disk.path).DiskIdentifier
        $disk
    }
    @{ value = [object[]]@($disks) }
}
