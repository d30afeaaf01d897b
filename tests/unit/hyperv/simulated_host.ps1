# A host small enough to be read: one machine with two disks, one checkpoint of each kind, one reference point.
# It writes every method that is called to $env:ATESTA_SIMULATED_CALLS, so that a test sees what would be sent.
$vm = '8F2C5A44-0B43-4A2A-9A13-6B0E4B6A0001'
$checkpointId = 'Microsoft:AAAAAAAA-0000-4000-8000-000000000001'
$userId = 'Microsoft:AAAAAAAA-0000-4000-8000-000000000002'
$pointId = 'Microsoft:BBBBBBBB-0000-4000-8000-000000000001'
$path = '\\HOST\root\virtualization\v2:Msvm_ResourceAllocationSettingData.InstanceID="{0}"'

function Instance([string]$Class, [hashtable]$Properties) {
    $Properties['CimClass'] = [pscustomobject]@{ CimClassName = $Class }
    [pscustomobject]$Properties
}
function Settings([string]$Id, [string]$Type, [string]$Name) {
    Instance 'Msvm_VirtualSystemSettingData' @{
        InstanceID = $Id; VirtualSystemIdentifier = $vm; VirtualSystemType = $Type; ElementName = $Name
        VirtualSystemSubType = 'Microsoft:Hyper-V:SubType:2'; Version = '9.0'; Notes = @("it's", "gro`u{df}")
        SecureBootEnabled = $true; ConfigurationDataRoot = 'D:\vms'; SnapshotDataRoot = 'D:\vms'
        ConfigurationFile = 'Snapshots\AAAAAAAA.vmcx'; CreationTime = [datetime]'2026-11-01T10:00:00Z'
    }
}
$settings = @(
    (Settings "Microsoft:$vm" 'Microsoft:Hyper-V:System:Realized' 'sql01')
    (Settings $checkpointId 'Microsoft:Hyper-V:Snapshot:Recovery' 'backup')
    (Settings $userId 'Microsoft:Hyper-V:Snapshot:Realized' 'before update')
)
$system = Instance 'Msvm_ComputerSystem' @{
    Name = $vm; ElementName = 'sql01'; EnabledState = [uint16]2; OperationalStatus = [uint16[]]@(2, 32772)
}
$hostSystem = Instance 'Msvm_ComputerSystem' @{
    Name = 'HOST'; ElementName = 'HOST'; EnabledState = [uint16]2; OperationalStatus = [uint16[]]@(2)
}
$point = Instance 'Msvm_VirtualSystemReferencePoint' @{
    InstanceID = $pointId; VirtualSystemIdentifier = $vm; ConsistencyLevel = [byte]1
    VirtualDiskIdentifiers = [string[]]@("Microsoft:$vm\c\0\0\L"); ResilientChangeTrackingIdentifiers = [string[]]@('rctX:1')
}
function Escaped([string]$Id) { $path -f $Id.Replace('\', '\\') }
function Resources {
    Instance 'Msvm_ResourceAllocationSettingData' @{ InstanceID = "c\ide0"; ResourceType = 5; Address = '0'; Parent = '' }
    Instance 'Msvm_ResourceAllocationSettingData' @{ InstanceID = "c\scsi"; ResourceType = 6; Address = ''; Parent = '' }
    Instance 'Msvm_ResourceAllocationSettingData' @{
        InstanceID = "c\ide0\d"; ResourceType = 17; Address = ''; AddressOnParent = '1'; Parent = (Escaped 'c\ide0') }
    Instance 'Msvm_ResourceAllocationSettingData' @{
        InstanceID = "c\scsi\d"; ResourceType = 17; Address = ''; AddressOnParent = '3'; Parent = (Escaped 'c\scsi') }
}
function Storages {
    Instance 'Msvm_StorageAllocationSettingData' @{
        InstanceID = "Microsoft:$vm\c\0\0\L"; ResourceType = 31; ResourceSubType = 'Microsoft:Hyper-V:Virtual Hard Disk'
        HostResource = [string[]]@('D:\vms\root.vhdx'); Parent = (Escaped 'c\ide0\d') }
    Instance 'Msvm_StorageAllocationSettingData' @{
        InstanceID = "Microsoft:$vm\c\0\1\L"; ResourceType = 31; ResourceSubType = 'Microsoft:Hyper-V:Virtual Hard Disk'
        HostResource = [string[]]@('D:\vms\data.avhdx'); Parent = (Escaped 'c\scsi\d') }
    Instance 'Msvm_StorageAllocationSettingData' @{
        InstanceID = "Microsoft:$vm\c\0\2\L"; ResourceType = 31; ResourceSubType = 'Microsoft:Hyper-V:Virtual CD/DVD Disk'
        HostResource = [string[]]@('D:\setup.iso'); Parent = '' }
}
function Get-CimInstance([string]$Namespace, [string]$ClassName, [string]$Filter) {
    $wanted = ''
    if ($Filter -match "='(.*)'\z") { $wanted = $Matches[1] -replace '\\(.)', '$1' }
    $found = switch ($ClassName) {
        'Msvm_ComputerSystem' { @($system, $hostSystem) | Where-Object { -not $Filter -or $_.Name -eq $wanted } }
        'Msvm_VirtualSystemSettingData' { $settings | Where-Object { -not $Filter -or $_.InstanceID -eq $wanted } }
        'Msvm_VirtualSystemReferencePoint' {
            $point | Where-Object { $_.InstanceID -eq $wanted -or $_.VirtualSystemIdentifier -eq $wanted } }
        'Msvm_StorageAllocationSettingData' { Storages | Where-Object { $_.InstanceID -eq $wanted } }
        'Msvm_ConcreteJob' {
            if ($wanted -eq 'done') { Instance $ClassName @{ InstanceID = $wanted; JobState = 7; PercentComplete = 100; ErrorCode = 0 } }
            if ($wanted -eq 'failed') { Instance $ClassName @{ InstanceID = $wanted; JobState = 10; PercentComplete = 40; ErrorCode = 32768 } } }
        'Msvm_VssComponent' {
            Instance $ClassName @{ SystemName = $vm; EnabledState = 2; OperationalStatus = [uint16[]]@(2) } }
        'Msvm_VideoHead' { if ($env:ATESTA_SIMULATED_DARK) { return }
            Instance $ClassName @{ DeviceID = 's3'; CurrentHorizontalResolution = 640; CurrentVerticalResolution = 480 }
            Instance $ClassName @{ DeviceID = 'synthetic'; CurrentHorizontalResolution = 4; CurrentVerticalResolution = 2 }
            Instance $ClassName @{ DeviceID = 'off'; CurrentHorizontalResolution = 0; CurrentVerticalResolution = 0 } }
        'Msvm_HeartbeatComponent' { Instance $ClassName @{
            SystemName = $vm; EnabledState = 2; OperationalStatus = [uint16[]]@(2, 32782) } }
        'Msvm_KvpExchangeComponent' { Instance $ClassName @{
            SystemName = $vm; EnabledState = 2; OperationalStatus = [uint16[]]@(2)
            GuestIntrinsicExchangeItems = [string[]]@(
                '<INSTANCE CLASSNAME="Msvm_KvpExchangeDataItem"><PROPERTY NAME="Data" TYPE="string"><VALUE>Debian &amp; more</VALUE></PROPERTY><PROPERTY NAME="Name" TYPE="string"><VALUE>OSName</VALUE></PROPERTY></INSTANCE>',
                '<INSTANCE CLASSNAME="Msvm_KvpExchangeDataItem"><PROPERTY NAME="Data" TYPE="string"></PROPERTY><PROPERTY NAME="Name" TYPE="string"><VALUE>OSVersion</VALUE></PROPERTY></INSTANCE>') } }
        'Win32_OperatingSystem' {
            Instance $ClassName @{ CSName = 'HOST'; Version = '10.0.20348'; FreePhysicalMemory = [uint64]4194304 } }
        { $_ -like '*Service' } { Instance $ClassName @{ Name = $ClassName } }
    }
    $found
}
function Get-CimAssociatedInstance($InputObject, [string]$Association, [string]$ResultClassName) {
    if ($Association -eq 'Msvm_AffectedJobElement') { return @($settings[1], $system) }
    switch ($ResultClassName) {
        'Msvm_ResourceAllocationSettingData' { Resources }
        'Msvm_StorageAllocationSettingData' { Storages }
        'Msvm_SyntheticDisplayController' { if ($InputObject.DeviceID -eq 'synthetic') { Instance $ResultClassName @{} } }
        'Msvm_ProcessorSettingData' { Instance $ResultClassName @{ VirtualQuantity = [uint64]4 } }
        'Msvm_MemorySettingData' { Instance $ResultClassName @{ VirtualQuantity = [uint64]8192 } }
    }
}
function Get-CimClass([string]$Namespace, [string]$ClassName) {
    [pscustomobject]@{ CimClassProperties = @(
        [pscustomobject]@{ Name = 'ConsistencyLevel'; CimType = 'UInt8' }
        [pscustomobject]@{ Name = 'IgnoreNonSnapshottableDisks'; CimType = 'Boolean' }
    ) }
}
function Get-VHD([string]$Path) {
    if ($Path -notlike 'D:\vms\*') { throw "Get-VHD: $Path was not found" }
    [pscustomobject]@{
        DiskIdentifier = '11111111-2222-4333-8444-555555555555'; Size = [uint64]1TB; VhdFormat = 'VHDX'; RctId = 'rctX:2' }
}
function Get-VMNetworkAdapter([string]$VMName) {
    [pscustomobject]@{ VMId = [guid]$vm; Name = 'Network'; SwitchName = $null; MacAddress = '00155D000001' }
}
function Invoke-CimMethod($InputObject, [string]$MethodName, [hashtable]$Arguments = @{}) {
    $shown = @{}
    foreach ($key in $Arguments.Keys) {
        $value = $Arguments[$key]
        if ($value -is [string]) { $shown[$key] = $value }
        elseif ($value -is [pscustomobject]) { $shown[$key] = [string]$value.CimClass.CimClassName }
        else { $shown[$key] = $value.GetType().Name + ' ' + [string]$value }
    }
    if ($env:ATESTA_SIMULATED_CALLS) {
        $line = @{ method = $MethodName; arguments = $shown } | ConvertTo-Json -Compress
        Add-Content -LiteralPath $env:ATESTA_SIMULATED_CALLS -Value $line
    }
    if ($env:ATESTA_SIMULATED_CODE) { return [pscustomobject]@{ ReturnValue = [uint32]$env:ATESTA_SIMULATED_CODE } }
    switch ($MethodName) {
        'GetVirtualDiskChanges' { [pscustomobject]@{
            ReturnValue = [uint32]0; ProcessedByteLength = [uint64]65536
            ChangedByteOffsets = [uint64[]]@(18446744073709547520); ChangedByteLengths = [uint64[]]@(4096) } }
        'GetVirtualSystemThumbnailImage' { [pscustomobject]@{
            ReturnValue = [uint32]0; ImageData = [byte[]]@(0, 248, 224, 7, 31, 0, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0) } }
        'GetErrorEx' { [pscustomobject]@{ ReturnValue = [uint32]0; Errors = [string[]]@(
            '<INSTANCE CLASSNAME="Msvm_Error"><PROPERTY NAME="Message" TYPE="string"><VALUE>no space left</VALUE></PROPERTY></INSTANCE>') } }
        'CreateSnapshot' { [pscustomobject]@{
            ReturnValue = [uint32]0; Job = $null; ResultingSnapshot = [pscustomobject]@{ InstanceID = $checkpointId } } }
        default { [pscustomobject]@{ ReturnValue = [uint32]4096; Job = [pscustomobject]@{ InstanceID = 'job-1' } } }
    }
}
