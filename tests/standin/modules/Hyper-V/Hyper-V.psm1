# Cmdlets of the Hyper-V module of a stand-in host, as far as Atesta uses them.
Import-Module StandIn

function Get-VHD {
    [CmdletBinding()]
    param([Parameter(Mandatory = $true, Position = 0)][string]$Path)
    Invoke-HyperV 'Get-VHD' @{ Path = $Path }
}

function Get-VM {
    [CmdletBinding()]
    param([Parameter(Position = 0)][string]$Name = '*')
    Invoke-HyperV 'Get-VM' @{ Name = $Name }
}

function Get-VMNetworkAdapter {
    [CmdletBinding()]
    param([Parameter(Mandatory = $true, Position = 0)][string]$VMName)
    Invoke-HyperV 'Get-VMNetworkAdapter' @{ VMName = $VMName }
}

function Get-VMIntegrationService {
    [CmdletBinding()]
    param([Parameter(Mandatory = $true, Position = 0)][string]$VMName)
    Invoke-HyperV 'Get-VMIntegrationService' @{ VMName = $VMName }
}

function Get-VMSnapshot {
    [CmdletBinding()]
    param([Parameter(Mandatory = $true, Position = 0)][string]$VMName)
    Invoke-HyperV 'Get-VMSnapshot' @{ VMName = $VMName }
}

function Invoke-HyperV([string]$Name, [hashtable]$Arguments) {
    foreach ($entries in (Invoke-StandIn @{ do = 'cmdlet'; name = $Name; arguments = $Arguments })) {
        New-StandInObject $entries
    }
}

Export-ModuleMember -Function Get-VHD, Get-VM, Get-VMNetworkAdapter, Get-VMIntegrationService, Get-VMSnapshot
