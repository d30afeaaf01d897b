Invoke-Verb {
    # Only a backup's: a person's checkpoint is never destroyed.
    $settings = Get-RecoveryCheckpoint $A.machine_id $A.checkpoint
    $script:Step = 'DestroySnapshot'
    $service = Get-HostService 'Msvm_VirtualSystemSnapshotService'
    $answer = Invoke-CimMethod -InputObject $service -MethodName DestroySnapshot -Arguments @{
        AffectedSnapshot = $settings
    }
    @{ value = @{ job = (Get-Started $answer '' 'DestroySnapshot').job } }
}
