# Read before a command of the stand-in host: its drives are folders of this machine.
foreach ($drive in (Invoke-StandIn @{ do = 'drives' }).PSObject.Properties) {
    [void](New-PSDrive -Name $drive.Name -PSProvider FileSystem -Root $drive.Value -Scope Global)
}
