# The CIM cmdlets of a stand-in host. A parameter that is not here is refused, as is everything that the model lacks.
Import-Module StandIn

function Get-CimInstance {
    [CmdletBinding(DefaultParameterSetName = 'Class')]
    param(
        [Parameter(Mandatory = $true, Position = 0, ParameterSetName = 'Class')][string]$ClassName,
        [Parameter(ParameterSetName = 'Class')][string]$Filter = '',
        [Parameter(Mandatory = $true, ParameterSetName = 'Query')][string]$Query = '',
        [Parameter(Mandatory = $true, ParameterSetName = 'Instance')][Alias('CimInstance')]$InputObject,
        [string]$Namespace = 'root/cimv2',
        [uint32]$OperationTimeoutSec
    )
    if ($PSCmdlet.ParameterSetName -eq 'Instance') {
        Assert-Instance $InputObject 'InputObject'
        $name = $InputObject.CimSystemProperties.ClassName
        $same = @(Get-CimInstance -Namespace 'root/virtualization/v2' -ClassName $name | Where-Object {
            $_.CimSystemProperties.StandInKey -eq $InputObject.CimSystemProperties.StandInKey
        })
        if ($same.Count -eq 0) { throw (New-StandInError 'Not found' 0x80041002L) }
        return $same[0]
    }
    $asked = @{ do = 'query'; class = $ClassName; filter = $Filter; query = $Query; namespace = $Namespace }
    foreach ($data in (Invoke-StandIn $asked)) { New-StandInInstance $data }
}

function Get-CimAssociatedInstance {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true, Position = 0)][Alias('CimInstance')]$InputObject,
        [string]$Association = '',
        [string]$ResultClassName = '',
        [string]$Namespace = ''
    )
    Assert-Instance $InputObject 'InputObject'
    $asked = @{
        do = 'associated'
        class = $InputObject.CimSystemProperties.ClassName
        key = $InputObject.CimSystemProperties.StandInKey
        association = $Association
        result = $ResultClassName
    }
    foreach ($data in (Invoke-StandIn $asked)) { New-StandInInstance $data }
}

function Invoke-CimMethod {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true, Position = 0)][Alias('CimInstance')]$InputObject,
        [Parameter(Mandatory = $true)][string]$MethodName,
        [Collections.IDictionary]$Arguments = @{},
        [uint32]$OperationTimeoutSec
    )
    Assert-Instance $InputObject 'InputObject'
    $given = @{}
    foreach ($name in $Arguments.Keys) { $given[$name] = ConvertTo-Argument $name $Arguments[$name] }
    $reply = Invoke-StandIn @{
        do = 'invoke'
        class = $InputObject.CimSystemProperties.ClassName
        key = $InputObject.CimSystemProperties.StandInKey
        method = $MethodName
        arguments = $given
    }
    $result = New-StandInObject $reply.out
    Add-Member -InputObject $result -MemberType NoteProperty -Name ReturnValue -Value ([uint32]$reply.code)
    return $result
}

function Get-CimClass {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true, Position = 0)][string]$ClassName,
        [string]$Namespace = 'root/cimv2'
    )
    $data = Invoke-StandIn @{ do = 'class'; class = $ClassName; namespace = $Namespace }
    return [pscustomobject]@{
        CimClassName = $data.name
        CimClassProperties = @(foreach ($property in $data.properties) {
            [pscustomobject]@{ Name = $property.name; CimType = $property.type }
        })
        CimClassMethods = @(foreach ($method in $data.methods) { [pscustomobject]@{ Name = $method } })
    }
}

function Assert-Instance($Value, [string]$Name) {
    if (-not (Test-StandInInstance $Value)) { throw "the parameter $Name is no CIM instance" }
}

# With the type that it has in .NET: WMI converts no numbers.
function ConvertTo-Argument([string]$Name, $Value) {
    if ($null -eq $Value) { throw "the argument $Name is null" }
    if (Test-StandInInstance $Value) {
        $identity = $Value.CimSystemProperties
        return @{ type = 'reference'; class = $identity.ClassName; key = $identity.StandInKey }
    }
    return @{ type = $Value.GetType().Name; value = [string]::Format([Globalization.CultureInfo]::InvariantCulture, '{0}', $Value) }
}

Export-ModuleMember -Function Get-CimInstance, Get-CimAssociatedInstance, Invoke-CimMethod, Get-CimClass
