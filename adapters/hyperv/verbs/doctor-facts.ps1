Invoke-Verb {
    $script:Step = 'ask for the groups of the user'
    $groups = @()
    $user = ''
    $knowsGroups = $true
    try {
        $identity = [Security.Principal.WindowsIdentity]::GetCurrent()
        $user = [string]$identity.Name
        $groups = @(foreach ($group in $identity.Groups) { [string]$group.Value })
    }
    catch { $knowsGroups = $false }
    $memberships = foreach ($pair in @(
        @('administrators', 'S-1-5-32-544'),
        @('hyper-v-administrators', 'S-1-5-32-578'),
        @('remote-management-users', 'S-1-5-32-580')
    )) {
        $member = if (-not $knowsGroups) { 'unknown' } elseif ($groups -contains $pair[1]) { 'yes' } else { 'no' }
        @{ group = $pair[0]; member = $member }
    }

    $script:Step = 'ask for the limits of WinRM'
    $limits = foreach ($pair in @(
        @('max_shells_per_user', 'WSMan:\localhost\Shell\MaxShellsPerUser'),
        @('max_memory_per_shell_mb', 'WSMan:\localhost\Shell\MaxMemoryPerShellMB'),
        @('max_processes_per_shell', 'WSMan:\localhost\Shell\MaxProcessesPerShell'),
        @('max_envelope_kb', 'WSMan:\localhost\MaxEnvelopeSizekb')
    )) {
        $value = -1
        try { $value = [int](Get-Item -LiteralPath $pair[1]).Value } catch { $value = -1 }
        @{ name = $pair[0]; value = $value }
    }

    $script:Step = 'look at the classes'
    $classes = foreach ($className in @(
        'Msvm_VirtualSystemSnapshotService',
        'Msvm_VirtualSystemSnapshotSettingData',
        'Msvm_VirtualSystemReferencePoint',
        'Msvm_VirtualSystemReferencePointService',
        'Msvm_ImageManagementService',
        'Msvm_VirtualSystemManagementService'
    )) {
        $members = @()
        $isPresent = $true
        try {
            $class = Get-CimClass -Namespace $Namespace -ClassName $className
            $members = @(foreach ($one in @(Get-Optional $class 'CimClassProperties' @())) { [string]$one.Name })
            $members += @(foreach ($one in @(Get-Optional $class 'CimClassMethods' @())) { [string]$one.Name })
        }
        catch { $isPresent = $false }
        @{ name = $className; present = $isPresent; members = [object[]]$members }
    }

    $script:Step = 'ask which checkpoints people may take'
    $all = @(Get-CimInstance -Namespace $Namespace -ClassName Msvm_VirtualSystemSettingData)
    $policies = foreach ($settings in $all) {
        if ([string]$settings.VirtualSystemType -ne $RealizedSystem) { continue }
        @{
            id = [string]$settings.VirtualSystemIdentifier
            user_snapshot_type = [int](Get-Optional $settings 'UserSnapshotType' 0)
        }
    }

    $script:Step = 'look for the cmdlets'
    $commands = foreach ($name in @('Get-VHD', 'Get-VMNetworkAdapter', 'Get-CimInstance')) {
        @{ name = $name; present = [bool](Get-Command $name -ErrorAction SilentlyContinue) }
    }
    @{ value = @{
        user = $user
        memberships = [object[]]@($memberships)
        limits = [object[]]@($limits)
        classes = [object[]]@($classes)
        checkpoint_policies = [object[]]@($policies)
        commands = [object[]]@($commands)
    } }
}
