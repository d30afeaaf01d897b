"""Hyper-V hosts: their machines listed and frozen over WinRM (verbs in PowerShell), their disks read over SMB."""
