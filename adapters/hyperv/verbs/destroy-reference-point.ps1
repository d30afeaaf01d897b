Invoke-Verb {
    $point = Get-MachineReferencePoint $A.machine_id $A.reference_point
    $script:Step = 'DestroyReferencePoint'
    $service = Get-HostService 'Msvm_VirtualSystemReferencePointService'
    $answer = Invoke-CimMethod -InputObject $service -MethodName DestroyReferencePoint -Arguments @{
        AffectedReferencePoint = $point
    }
    @{ value = @{ job = (Get-Started $answer '' 'DestroyReferencePoint').job } }
}
