Invoke-Verb {
    $system = Get-MachineSystem $A.machine_id
    $status = Get-Numbers $system.OperationalStatus
    # 32772: merging disks.
    @{ value = @{ merging = ($status -contains 32772); status = $status } }
}
