Invoke-Verb {
    $system = Get-MachineSystem $A.machine_id
    $filter = "SystemName='$($system.Name)'"
    $script:Step = 'ask for the heartbeat'
    $heartbeat = @()
    $heartbeats = @(Get-CimInstance -Namespace $Namespace -ClassName Msvm_HeartbeatComponent -Filter $filter)
    foreach ($component in $heartbeats) {
        $heartbeat = Get-Numbers $component.OperationalStatus
    }

    $script:Step = 'ask for what the guest tells of itself'
    $exchanges = @(Get-CimInstance -Namespace $Namespace -ClassName Msvm_KvpExchangeComponent -Filter $filter)
    $items = foreach ($component in $exchanges) {
        foreach ($text in @(Get-Optional $component 'GuestIntrinsicExchangeItems' @())) {
            $name = ''
            $data = ''
            foreach ($property in @(([xml]$text).INSTANCE.PROPERTY)) {
                if ($property.GetAttribute('NAME') -eq 'Name') { $name = [string]$property.InnerText }
                if ($property.GetAttribute('NAME') -eq 'Data') { $data = [string]$property.InnerText }
            }
            @{ name = $name; value = $data }
        }
    }
    @{ value = @{ heartbeat = [object[]]@($heartbeat); items = [object[]]@($items) } }
}
