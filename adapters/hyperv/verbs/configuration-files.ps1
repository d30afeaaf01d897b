Invoke-Verb {
    $settings = Get-CheckpointSettings $A.machine_id $A.checkpoint
    $script:Step = 'list the configuration files'
    $main = Join-Path -Path ([string]$settings.ConfigurationDataRoot) -ChildPath ([string]$settings.ConfigurationFile)
    $folder = Split-Path -Path $main -Parent
    $stem = [IO.Path]::GetFileNameWithoutExtension(([string]$settings.ConfigurationFile -replace '^.*[\\/]', ''))
    $files = foreach ($extension in @('.vmcx', '.vmrs', '.vmgs', '.xml')) {
        $path = Join-Path -Path $folder -ChildPath ($stem + $extension)
        if (-not (Test-Path -LiteralPath $path)) { continue }
        $file = Get-Item -LiteralPath $path
        @{ name = $stem + $extension; path = $path; size_bytes = Get-Number64 $file.Length }
    }
    @{ value = [object[]]@($files) }
}
