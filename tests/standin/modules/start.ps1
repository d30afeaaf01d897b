# Read before a command of the stand-in host: its cmdlets, and its drives, which are folders of this machine.
foreach ($module in @('StandIn', 'CimCmdlets', 'Hyper-V')) {
    Import-Module "$PSScriptRoot/$module/$module.psm1" -DisableNameChecking -Global
}
foreach ($drive in (Invoke-StandIn @{ do = 'drives' }).PSObject.Properties) {
    [void](New-PSDrive -Name $drive.Name -PSProvider FileSystem -Root $drive.Value -Scope Global)
}
