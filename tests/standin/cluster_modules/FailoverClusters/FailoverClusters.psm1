# Cmdlets of the FailoverClusters module of a stand-in cluster; only a node of a cluster has them.
Import-Module StandIn

function Get-Cluster {
    [CmdletBinding()]
    param()
    Invoke-Cluster 'Get-Cluster'
}

function Get-ClusterNode {
    [CmdletBinding()]
    param([string]$Name = '')
    Invoke-Cluster 'Get-ClusterNode' | Where-Object { -not $Name -or $_.Name -eq $Name }
}

function Get-ClusterGroup {
    [CmdletBinding()]
    param([string]$Name = '')
    Invoke-Cluster 'Get-ClusterGroup' | Where-Object { -not $Name -or $_.Name -eq $Name }
}

function Get-ClusterResource {
    [CmdletBinding()]
    param()
    Invoke-Cluster 'Get-ClusterResource'
}

function Get-ClusterParameter {
    [CmdletBinding()]
    param([Parameter(Mandatory = $true, ValueFromPipeline = $true)]$InputObject, [Parameter(Position = 0)][string]$Name = 'VmID')
    process {
        if ($Name -ne 'VmID') { throw "the stand-in knows no parameter $Name of a cluster's resource" }
        [pscustomobject]@{ ClusterObject = $InputObject.Name; Name = 'VmID'; Value = $InputObject.StandInVmId }
    }
}

function Invoke-Cluster([string]$Name) {
    foreach ($entries in (Invoke-StandIn @{ do = 'cmdlet'; name = $Name; arguments = @{} })) {
        New-StandInObject $entries
    }
}

Export-ModuleMember -Function Get-Cluster, Get-ClusterNode, Get-ClusterGroup, Get-ClusterResource, Get-ClusterParameter
