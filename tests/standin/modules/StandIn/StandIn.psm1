# The way of the simulated cmdlets to the model of the host: one line of JSON each way.
$script:Stream = $null

function Invoke-StandIn([hashtable]$Request) {
    if ($null -eq $script:Stream) {
        $client = New-Object Net.Sockets.TcpClient '127.0.0.1', ([int]$env:ATESTA_STANDIN_PORT)
        $client.NoDelay = $true
        $script:Stream = $client.GetStream()
        $script:Reader = New-Object IO.StreamReader $script:Stream
    }
    $Request['token'] = $env:ATESTA_STANDIN_TOKEN
    $line = [Text.Encoding]::UTF8.GetBytes((ConvertTo-Json -InputObject $Request -Depth 8 -Compress) + "`n")
    $script:Stream.Write($line, 0, $line.Length)
    $answer = $script:Reader.ReadLine()
    if ($null -eq $answer) { throw 'the stand-in host went away' }
    $reply = ConvertFrom-Json -InputObject $answer
    if ($reply.PSObject.Properties['error']) { throw (New-StandInError $reply.error.message $reply.error.code) }
    return ,$reply.value
}

# As a CimException tells it: HResult, and StatusCode as uint32.
function New-StandInError([string]$Message, [long]$Code) {
    $failure = New-Object InvalidOperationException $Message
    $failure.HResult = [BitConverter]::ToInt32([BitConverter]::GetBytes([uint32]$Code), 0)
    Add-Member -InputObject $failure -MemberType NoteProperty -Name StatusCode -Value ([uint32]$Code)
    return $failure
}

function ConvertFrom-StandInValue($Entry) {
    $value = $Entry.value
    if ($null -eq $value) { return $null }
    switch ($Entry.type) {
        'ref' { return (New-StandInReference $value) }
        'string' { return [string]$value }
        'string[]' { return ,[string[]]@($value) }
        'uint8' { return [byte]$value }
        'uint8[]' { return ,[Convert]::FromBase64String($value) }
        'uint16' { return [uint16]$value }
        'uint16[]' { return ,[uint16[]]@($value) }
        'uint32' { return [uint32]$value }
        'uint64' { return [uint64]::Parse($value) }
        'uint64[]' { return ,[uint64[]]@(foreach ($number in $value) { [uint64]::Parse($number) }) }
        'int32' { return [int]$value }
        'int64' { return [long]$value }
        'boolean' { return [bool]$value }
        'guid' { return [guid]$value }
        'object' { return (New-StandInObject $value) }
        'datetime' { return ([DateTimeOffset]::Parse($value)).LocalDateTime }
    }
    throw "the stand-in has no type $($Entry.type)"
}

function New-StandInObject($Entries) {
    $properties = [ordered]@{}
    foreach ($entry in $Entries) { $properties[$entry.name] = ConvertFrom-StandInValue $entry }
    return [pscustomobject]$properties
}

function New-StandInInstance($Data) {
    $instance = New-StandInObject $Data.properties
    return (Add-StandInIdentity $instance $Data.class $Data.key)
}

# A reference has the key alone.
function New-StandInReference($Data) {
    return (Add-StandInIdentity ([pscustomobject]@{ $Data.keyName = $Data.key }) $Data.class $Data.key)
}

function Add-StandInIdentity($Instance, [string]$Class, [string]$Key) {
    Add-Member -InputObject $Instance -MemberType NoteProperty -Name CimClass -Value ([pscustomobject]@{
        CimClassName = $Class
    })
    Add-Member -InputObject $Instance -MemberType NoteProperty -Name CimSystemProperties -Value ([pscustomobject]@{
        ClassName = $Class; StandInKey = $Key
    })
    $Instance.PSObject.TypeNames.Insert(0, 'Microsoft.Management.Infrastructure.CimInstance')
    return $Instance
}

function Test-StandInInstance($Value) {
    return ($null -ne $Value) -and ($Value.PSObject.TypeNames -contains 'Microsoft.Management.Infrastructure.CimInstance')
}

Export-ModuleMember -Function Invoke-StandIn, New-StandInObject, New-StandInInstance, New-StandInError,
    ConvertFrom-StandInValue, Test-StandInInstance
