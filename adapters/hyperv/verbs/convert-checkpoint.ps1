Invoke-Verb {
    $settings = Get-RecoveryCheckpoint $A.machine_id $A.checkpoint
    $script:Step = 'ConvertToReferencePoint'
    $service = Get-HostService 'Msvm_VirtualSystemSnapshotService'
    $answer = Invoke-CimMethod -InputObject $service -MethodName ConvertToReferencePoint -Arguments @{
        AffectedSnapshot = $settings
        ReferencePointSettings = ''
    }
    $started = Get-Started $answer 'ResultingReferencePoint' 'ConvertToReferencePoint'
    @{ value = @{ job = $started.job; reference_point = $started.made } }
}
