# Sent before every verb. Windows PowerShell 5.1; arguments are in $A, never in the text of a script.
Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$WarningPreference = 'SilentlyContinue'

$Namespace = 'root/virtualization/v2'
$GuidPattern = '^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\z'
$RealizedSystem = 'Microsoft:Hyper-V:System:Realized'
$RealizedCheckpoint = 'Microsoft:Hyper-V:Snapshot:Realized'
$RecoveryCheckpoint = 'Microsoft:Hyper-V:Snapshot:Recovery'
$Invariant = [Globalization.CultureInfo]::InvariantCulture
$script:Step = ''

# An error with a code of the verbs' own or of a CIM method; see HostCode on the controller's side.
function Stop-Verb([int]$Code, [string]$Message) {
    $failure = New-Object InvalidOperationException $Message
    $failure.Data['code'] = $Code
    throw $failure
}

function ConvertTo-JsonText([string]$Text) {
    if ($Text -cmatch '^[\x20\x21\x23-\x5B\x5D-\x7E]*\z') { return '"' + $Text + '"' }
    $out = New-Object Text.StringBuilder
    [void]$out.Append('"')
    foreach ($character in $Text.ToCharArray()) {
        $number = [int]$character
        if ($number -eq 34 -or $number -eq 92) { [void]$out.Append('\').Append($character) }
        elseif ($number -lt 32 -or $number -gt 126) { [void]$out.Append('\u').Append($number.ToString('x4')) }
        else { [void]$out.Append($character) }
    }
    [void]$out.Append('"')
    return $out.ToString()
}

# JSON of tables, lists, text, truth and numbers. ConvertTo-Json writes some lists of 5.1 as {"value":..,"Count":..}.
function ConvertTo-JsonValue($Value) {
    if ($null -eq $Value) { return 'null' }
    if ($Value -is [Text.StringBuilder]) { return $Value.ToString() }
    if ($Value -is [string] -or $Value -is [Guid]) { return (ConvertTo-JsonText ([string]$Value)) }
    if ($Value -is [bool]) { if ($Value) { return 'true' } else { return 'false' } }
    if ($Value -is [uint64]) { return '"' + $Value.ToString($Invariant) + '"' }
    if ($Value -is [Collections.IDictionary]) {
        $members = foreach ($key in $Value.Keys) {
            (ConvertTo-JsonText $key) + ':' + (ConvertTo-JsonValue $Value[$key])
        }
        return '{' + (@($members) -join ',') + '}'
    }
    if ($Value -is [Collections.IEnumerable]) {
        $items = foreach ($item in $Value) { ConvertTo-JsonValue $item }
        return '[' + (@($items) -join ',') + ']'
    }
    if ($Value -is [int] -or $Value -is [long] -or $Value -is [uint32] -or $Value -is [uint16] -or $Value -is [byte]) {
        return ([long]$Value).ToString($Invariant)
    }
    throw "a value of type $($Value.GetType().FullName) has no form in a reply"
}

function Write-Reply([Collections.IDictionary]$Reply) {
    $bytes = [Text.Encoding]::UTF8.GetBytes((ConvertTo-JsonValue $Reply))
    [Console]::Out.WriteLine()
    [Console]::Out.WriteLine('#HV1#' + [Convert]::ToBase64String($bytes))
    [Console]::Out.Flush()
}

# Runs a verb; what its body returns in a table as 'value' is the reply. Nothing else of its output is sent.
function Invoke-Verb([scriptblock]$Body) {
    try {
        $result = @(& $Body)
        Write-Reply @{ ok = $true; value = $result[-1]['value'] }
    }
    catch {
        $cause = $_.Exception
        while ($null -ne $cause.InnerException -and -not $cause.Data.Contains('code')) {
            $cause = $cause.InnerException
        }
        $code = $cause.HResult
        # A CimException has the HRESULT of the host's answer here.
        $status = $cause.PSObject.Properties['StatusCode']
        if ($cause.Data.Contains('code')) { $code = $cause.Data['code'] }
        elseif ($_.FullyQualifiedErrorId -like 'CommandNotFoundException*') { $code = 64006 }
        elseif ($null -ne $status -and $status.Value -is [uint32] -and $status.Value -ne 0) {
            $code = [BitConverter]::ToInt32([BitConverter]::GetBytes($status.Value), 0)
        }
        $failure = @{ code = [int]$code; message = [string]$cause.Message; where = $script:Step }
        Write-Reply @{ ok = $false; error = $failure }
    }
}

# Text as it stands between single quotes in WQL.
function ConvertTo-WqlText([string]$Text) {
    if ($Text -match '[\x00-\x1f]') { Stop-Verb 64001 'an id holds a control character' }
    return $Text.Replace('\', '\\').Replace("'", "\'")
}

function Get-Number64($Value) {
    if ($null -eq $Value) { return '0' }
    return ([uint64]$Value).ToString($Invariant)
}

function Get-Moment($Value) {
    if ($null -eq $Value) { return '1601-01-01T00:00:00Z' }
    return ([datetime]$Value).ToUniversalTime().ToString('yyyy-MM-ddTHH:mm:ssZ', $Invariant)
}

function Get-Numbers($Values) {
    return ,[object[]]@(foreach ($value in @($Values)) { if ($null -ne $value) { [long]$value } })
}

# A property of a CIM instance that older hosts do not have.
function Get-Optional($Instance, [string]$Name, $Default) {
    $property = $Instance.PSObject.Properties[$Name]
    if ($null -eq $property -or $null -eq $property.Value) { return $Default }
    return $property.Value
}

function Get-Single([string]$ClassName, [string]$Filter, [int]$Code, [string]$Message) {
    $found = @(Get-CimInstance -Namespace $Namespace -ClassName $ClassName -Filter $Filter)
    if ($found.Count -ne 1) { Stop-Verb $Code $Message }
    return $found[0]
}

function Get-HostService([string]$ClassName) {
    $found = @(Get-CimInstance -Namespace $Namespace -ClassName $ClassName)
    if ($found.Count -lt 1) { Stop-Verb 64006 "the host has no $ClassName" }
    return $found[0]
}

function Get-MachineSystem([string]$MachineId) {
    $script:Step = 'find the machine'
    if ($MachineId -notmatch $GuidPattern) { Stop-Verb 64001 'the id of a machine is not a GUID' }
    return (Get-Single 'Msvm_ComputerSystem' "Name='$MachineId'" 64002 'there is no such machine')
}

# A checkpoint of the machine by its InstanceID, whichever kind it is of.
function Get-CheckpointSettings([string]$MachineId, [string]$Checkpoint) {
    $script:Step = 'find the checkpoint'
    if ($MachineId -notmatch $GuidPattern) { Stop-Verb 64001 'the id of a machine is not a GUID' }
    $filter = "InstanceID='$(ConvertTo-WqlText $Checkpoint)'"
    $settings = Get-Single 'Msvm_VirtualSystemSettingData' $filter 64003 'there is no such checkpoint'
    if ($settings.VirtualSystemIdentifier -ne $MachineId) { Stop-Verb 64003 'the checkpoint is another machine''s' }
    return $settings
}

function Get-RecoveryCheckpoint([string]$MachineId, [string]$Checkpoint) {
    $settings = Get-CheckpointSettings $MachineId $Checkpoint
    if ($settings.VirtualSystemType -ne $RecoveryCheckpoint) { Stop-Verb 64001 'it is no recovery checkpoint' }
    return $settings
}

function Get-MachineReferencePoint([string]$MachineId, [string]$ReferencePoint) {
    $script:Step = 'find the reference point'
    if ($MachineId -notmatch $GuidPattern) { Stop-Verb 64001 'the id of a machine is not a GUID' }
    $filter = "InstanceID='$(ConvertTo-WqlText $ReferencePoint)'"
    $found = Get-Single 'Msvm_VirtualSystemReferencePoint' $filter 64004 'there is no such reference point'
    if ($found.VirtualSystemIdentifier -ne $MachineId) { Stop-Verb 64004 'the reference point is another machine''s' }
    return $found
}

# What a method answered as (job, id of what it made); either is empty. Other return codes end the verb.
function Get-Started($Answer, [string]$Resulting, [string]$Doing) {
    $code = [long]$Answer.ReturnValue
    if ($code -eq 4096) {
        $job = Get-Optional $Answer 'Job' $null
        if ($null -eq $job) { Stop-Verb 4096 "$Doing started a job without saying which" }
        return @{ job = [string]$job.InstanceID; made = '' }
    }
    if ($code -ne 0) { Stop-Verb $code "$Doing was refused" }
    $made = ''
    if ($Resulting) {
        $reference = Get-Optional $Answer $Resulting $null
        if ($null -ne $reference) { $made = [string]$reference.InstanceID }
    }
    return @{ job = ''; made = $made }
}

# The InstanceID in the path of a CIM object, such as \\HOST\root\virtualization\v2:Class.InstanceID="Microsoft:..\\0".
function Get-InstanceIdOfPath([string]$Path) {
    if ($Path -notmatch 'InstanceID="((?:[^"\\]|\\.)*)"') { return '' }
    return ($Matches[1] -replace '\\(.)', '$1')
}

function Get-Components($Settings, [string]$ClassName) {
    return ,[object[]]@(Get-CimAssociatedInstance -InputObject $Settings `
        -Association Msvm_VirtualSystemSettingDataComponent -ResultClassName $ClassName)
}

# The virtual hard disks of a configuration or of a checkpoint, with the place that each is attached at.
function Get-AttachedDisks($Settings) {
    $script:Step = 'list the disks'
    $drives = @{}
    $numbers = @{}
    $counts = @{ IDE = 0; SCSI = 0 }
    foreach ($resource in (Get-Components $Settings 'Msvm_ResourceAllocationSettingData')) {
        $drives[[string]$resource.InstanceID] = $resource
        $bus = ''
        if ([int]$resource.ResourceType -eq 5) { $bus = 'IDE' }
        if ([int]$resource.ResourceType -eq 6) { $bus = 'SCSI' }
        if ($bus) {
            $number = $counts[$bus]
            if ($bus -eq 'IDE' -and [string]$resource.Address -match '^\d+\z') { $number = [int]$resource.Address }
            $numbers[[string]$resource.InstanceID] = @{ bus = $bus; number = $number }
            $counts[$bus] = $counts[$bus] + 1
        }
    }
    $disks = foreach ($storage in (Get-Components $Settings 'Msvm_StorageAllocationSettingData')) {
        if ([int]$storage.ResourceType -ne 31) { continue }
        if ($storage.ResourceSubType -ne 'Microsoft:Hyper-V:Virtual Hard Disk') { continue }
        $drive = $drives[(Get-InstanceIdOfPath $storage.Parent)]
        if ($null -eq $drive) { Stop-Verb 64007 'a disk hangs on no drive' }
        $controller = $numbers[(Get-InstanceIdOfPath $drive.Parent)]
        if ($null -eq $controller) { Stop-Verb 64007 'a drive hangs on no controller' }
        @{
            path = [string]@($storage.HostResource)[0]
            instance_id = [string]$storage.InstanceID
            controller = $controller.bus
            controller_number = [int]$controller.number
            location = [int]$drive.AddressOnParent
        }
    }
    return ,[object[]]@($disks)
}

# What Get-VHD says of a file; empty where the host cannot read it.
function Get-DiskFacts([string]$Path) {
    try { $disk = Get-VHD -Path $Path }
    catch [Management.Automation.CommandNotFoundException] { throw }
    catch { return @{ disk_id = ''; size_bytes = '0'; kind = ''; rct_id = '' } }
    $kind = ''
    if ($Path -match '\.a?vhdx?\z') { $kind = ([string]$disk.VhdFormat).ToLowerInvariant() }
    return @{
        disk_id = [string](Get-Optional $disk 'DiskIdentifier' '')
        size_bytes = Get-Number64 $disk.Size
        kind = $kind
        rct_id = [string](Get-Optional $disk 'RctId' '')
    }
}
