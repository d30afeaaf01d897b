Invoke-Verb {
    $system = Get-MachineSystem $A.machine_id
    $script:Step = 'list the reference points'
    $filter = "VirtualSystemIdentifier='$($system.Name)'"
    $found = @(Get-CimInstance -Namespace $Namespace -ClassName Msvm_VirtualSystemReferencePoint -Filter $filter)
    $points = foreach ($point in $found) {
        $disks = @(Get-Optional $point 'VirtualDiskIdentifiers' @())
        $tracking = @(Get-Optional $point 'ResilientChangeTrackingIdentifiers' @())
        if ($disks.Count -ne $tracking.Count) { Stop-Verb 64007 'a reference point has other numbers of disks and ids' }
        $pairs = for ($i = 0; $i -lt $disks.Count; $i++) {
            $script:Step = 'ask which disk a reference point means'
            $id = [string]$disks[$i]
            $filter = "InstanceID='$(ConvertTo-WqlText $id)'"
            $storageClass = 'Msvm_StorageAllocationSettingData'
            $storage = @(Get-CimInstance -Namespace $Namespace -ClassName $storageClass -Filter $filter)
            if ($storage.Count -eq 1) {
                $facts = Get-DiskFacts ([string]@($storage[0].HostResource)[0])
                if ($facts.disk_id) { $id = $facts.disk_id }
            }
            @{ disk_id = $id; rct_id = [string]$tracking[$i] }
        }
        @{
            id = [string]$point.InstanceID
            consistency = [int]$point.ConsistencyLevel
            disks = [object[]]@($pairs)
        }
    }
    @{ value = [object[]]@($points) }
}
