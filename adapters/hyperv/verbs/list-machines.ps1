Invoke-Verb {
    $services = @{
        Msvm_VssComponent = '5CED1297-4598-4915-A5FC-AD21BB4D02A4'
        Msvm_HeartbeatComponent = '84EAAE65-2F2E-45F5-9BB5-0E857DC8EB47'
        Msvm_KvpExchangeComponent = '2A34B1C2-FD73-4043-8A5B-DD2159BC743F'
        Msvm_ShutdownComponent = '9F8233AC-BE49-4C79-8EE3-E7E1985B2077'
        Msvm_TimeSyncComponent = '2497F4DE-E9FA-4204-80E4-4B75C46419C0'
    }

    $script:Step = 'list the integration services'
    $integration = @{}
    foreach ($className in $services.Keys) {
        foreach ($component in @(Get-CimInstance -Namespace $Namespace -ClassName $className)) {
            $owner = [string]$component.SystemName
            if (-not $integration.ContainsKey($owner)) { $integration[$owner] = New-Object Collections.ArrayList }
            [void]$integration[$owner].Add(@{
                id = $services[$className]
                enabled = ([int]$component.EnabledState -eq 2)
                status = Get-Numbers $component.OperationalStatus
            })
        }
    }

    $script:Step = 'list the network adapters'
    $nics = @{}
    foreach ($nic in @(Get-VMNetworkAdapter -VMName '*')) {
        $owner = [string]$nic.VMId
        if (-not $nics.ContainsKey($owner)) { $nics[$owner] = New-Object Collections.ArrayList }
        [void]$nics[$owner].Add(@{
            name = [string]$nic.Name; switch = [string]$nic.SwitchName; mac = [string]$nic.MacAddress
        })
    }

    $script:Step = 'list the configurations'
    $current = @{}
    $checkpoints = @{}
    foreach ($settings in @(Get-CimInstance -Namespace $Namespace -ClassName Msvm_VirtualSystemSettingData)) {
        $owner = [string]$settings.VirtualSystemIdentifier
        $kind = switch ([string]$settings.VirtualSystemType) {
            $RealizedCheckpoint { 'user' }
            $RecoveryCheckpoint { 'recovery' }
            default { '' }
        }
        if ([string]$settings.VirtualSystemType -eq $RealizedSystem) { $current[$owner] = $settings }
        if (-not $kind) { continue }
        if (-not $checkpoints.ContainsKey($owner)) { $checkpoints[$owner] = New-Object Collections.ArrayList }
        [void]$checkpoints[$owner].Add(@{
            id = [string]$settings.InstanceID
            name = [string]$settings.ElementName
            kind = $kind
            created_utc = Get-Moment $settings.CreationTime
        })
    }

    $script:Step = 'list the machines'
    $systems = @(Get-CimInstance -Namespace $Namespace -ClassName Msvm_ComputerSystem)
    $machines = foreach ($system in $systems) {
        $id = [string]$system.Name
        # The host itself is listed as well, by its name.
        if ($id -notmatch $GuidPattern -or -not $current.ContainsKey($id)) { continue }
        # Only one is asked for while it is watched: what follows costs as much as a machine has disks.
        if ($A.machine_id -and $id -ne $A.machine_id) { continue }
        $settings = $current[$id]
        $disks = foreach ($disk in (Get-AttachedDisks $settings)) {
            $facts = Get-DiskFacts $disk.path
            $disk.Remove('instance_id')
            $disk + $facts
        }
        $script:Step = 'ask for processors and memory'
        $processors = Get-Components $settings 'Msvm_ProcessorSettingData'
        $memory = Get-Components $settings 'Msvm_MemorySettingData'
        $megabytes = [uint64]0
        if ($memory.Count) { $megabytes = [uint64]$memory[0].VirtualQuantity }
        $generation = 1
        if ([string]$settings.VirtualSystemSubType -eq 'Microsoft:Hyper-V:SubType:2') { $generation = 2 }
        @{
            id = $id
            name = [string]$system.ElementName
            generation = $generation
            version = [string]$settings.Version
            state = [int]$system.EnabledState
            status = Get-Numbers $system.OperationalStatus
            notes = [string]((@($settings.Notes) -join "`n"))
            processors = if ($processors.Count) { [int]$processors[0].VirtualQuantity } else { 0 }
            memory_bytes = Get-Number64 ($megabytes * 1048576)
            secure_boot = [bool](Get-Optional $settings 'SecureBootEnabled' $false)
            disks = [object[]]@($disks)
            checkpoints = [object[]]@(if ($checkpoints.ContainsKey($id)) { $checkpoints[$id] })
            integration = [object[]]@(if ($integration.ContainsKey($id)) { $integration[$id] })
            nics = [object[]]@(if ($nics.ContainsKey($id)) { $nics[$id] })
            configuration_root = [string]$settings.ConfigurationDataRoot
            snapshot_root = [string]$settings.SnapshotDataRoot
        }
    }
    @{ value = [object[]]@($machines) }
}
