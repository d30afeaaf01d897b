Invoke-Verb {
    $system = Get-MachineSystem $A.machine_id

    $script:Step = 'look at the settings that this host knows'
    $className = 'Msvm_VirtualSystemSnapshotSettingData'
    $declared = @{}
    foreach ($property in @((Get-CimClass -Namespace $Namespace -ClassName $className).CimClassProperties)) {
        $declared[[string]$property.Name] = ([string]$property.CimType).ToLowerInvariant()
    }
    $wanted = @(
        @('ConsistencyLevel', ([int]$A.consistency).ToString($Invariant)),
        # 2 copy: a full backup of the guest's VSS would truncate the logs of its databases.
        @('GuestBackupType', '2'),
        @('IgnoreNonSnapshottableDisks', $(if ($A.ignore_not_snapshottable) { 'TRUE' } else { 'FALSE' }))
    )
    if (-not $declared.ContainsKey('ConsistencyLevel')) { Stop-Verb 64007 "$className has no ConsistencyLevel" }
    # An embedded instance in the form of WMI's DTD 2.0. Older hosts do not know every property.
    $embedded = New-Object Text.StringBuilder
    [void]$embedded.Append("<INSTANCE CLASSNAME=`"$className`">")
    foreach ($pair in $wanted) {
        if (-not $declared.ContainsKey($pair[0])) { continue }
        [void]$embedded.Append("<PROPERTY NAME=`"$($pair[0])`" TYPE=`"$($declared[$pair[0]])`">")
        [void]$embedded.Append("<VALUE>$($pair[1])</VALUE></PROPERTY>")
    }
    [void]$embedded.Append('</INSTANCE>')

    $script:Step = 'CreateSnapshot'
    $service = Get-HostService 'Msvm_VirtualSystemSnapshotService'
    $answer = Invoke-CimMethod -InputObject $service -MethodName CreateSnapshot -Arguments @{
        AffectedSystem = $system
        SnapshotSettings = $embedded.ToString()
        SnapshotType = [uint16]32768
    }
    $started = Get-Started $answer 'ResultingSnapshot' 'CreateSnapshot'
    @{ value = @{ job = $started.job; checkpoint = $started.made } }
}
