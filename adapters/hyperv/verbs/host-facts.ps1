Invoke-Verb {
    $script:Step = 'ask the operating system'
    $system = Get-CimInstance -ClassName Win32_OperatingSystem
    $script:Step = 'ask for the cluster'
    $cluster = ''
    if (Get-Command Get-Cluster -ErrorAction SilentlyContinue) {
        try { $cluster = [string](Get-Cluster).Name } catch { $cluster = '' }
    }
    @{ value = @{
        computer = [string]$system.CSName
        os_build = [string]$system.Version
        powershell = [string]$PSVersionTable.PSVersion
        time_utc = Get-Moment ([datetime]::UtcNow)
        cluster = $cluster
        free_memory_bytes = Get-Number64 ([uint64]$system.FreePhysicalMemory * 1024)
    } }
}
