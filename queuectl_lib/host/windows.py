"""What Windows gives beyond Python's modules: job objects, names of programs, files to append to, memory (ctypes)."""

from __future__ import annotations

import ctypes
import os
import sys
from ctypes import Structure, byref, c_int64, c_size_t, c_uint32, c_uint64, c_void_p, create_unicode_buffer, sizeof

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List, Optional

    from queuectl_lib.host.spawn import Used

assert sys.platform == "win32"  # nobody else imports this

import msvcrt  # noqa: E402

KILL_ON_JOB_CLOSE = 0x2000
BREAKAWAY_OK = 0x800


class JobLimits(Structure):
    """JOBOBJECT_EXTENDED_LIMIT_INFORMATION of winnt.h."""

    _fields_ = [
        ("process_time", c_int64),
        ("job_time", c_int64),
        ("flags", c_uint32),
        ("minimum_working_set", c_size_t),
        ("maximum_working_set", c_size_t),
        ("active_limit", c_uint32),
        ("affinity", c_size_t),
        ("priority", c_uint32),
        ("scheduling", c_uint32),
        ("io", c_uint64 * 6),
        ("process_memory", c_size_t),
        ("job_memory", c_size_t),
        ("peak_process", c_size_t),
        ("peak_job", c_size_t),
    ]


def open_appending(path: str) -> int:
    """Open a file so that all who inherit it append (O_APPEND holds only in our own process)."""
    access = c_uint32(0x100084)  # FILE_APPEND_DATA, FILE_READ_ATTRIBUTES, SYNCHRONIZE
    shared, open_always, normal = c_uint32(0x7), c_uint32(0x4), c_uint32(0x80)
    handle = kernel32.CreateFileW(path, access, shared, None, open_always, normal, None)
    if handle == c_void_p(-1).value:
        raise OSError(None, "cannot be opened", path, ctypes.GetLastError())
    return msvcrt.open_osfhandle(int(handle), os.O_APPEND)


class JobProcesses(Structure):
    """JOBOBJECT_BASIC_PROCESS_ID_LIST of winnt.h."""

    _fields_ = [("assigned", c_uint32), ("listed", c_uint32), ("pids", c_size_t * 1024)]


class JobAccounting(Structure):
    """JOBOBJECT_BASIC_ACCOUNTING_INFORMATION of winnt.h."""

    _fields_ = [
        ("times", c_int64 * 4),
        ("faults", c_uint32),
        ("total", c_uint32),
        ("active", c_uint32),
        ("ended", c_uint32),
    ]


class MemoryStatus(Structure):
    """MEMORYSTATUSEX of sysinfoapi.h."""

    _fields_ = [
        ("length", c_uint32),
        ("load", c_uint32),
        ("physical", c_uint64),
        ("physical_available", c_uint64),
        ("others", c_uint64 * 5),
    ]


kernel32 = ctypes.windll.kernel32
kernel32.CreateJobObjectW.restype = kernel32.OpenJobObjectW.restype = c_void_p
kernel32.GetCurrentProcess.restype = kernel32.OpenProcess.restype = kernel32.CreateFileW.restype = c_void_p


def new_job_object(name: str) -> Any:
    """A job object whose processes all end when its last handle closes."""
    handle = kernel32.CreateJobObjectW(None, name)
    if not handle or not limit_job_object(c_void_p(handle), KILL_ON_JOB_CLOSE | BREAKAWAY_OK):
        raise OSError("Windows gives no job object")
    return c_void_p(handle)


def limit_job_object(handle: Any, flags: int) -> bool:
    limits = JobLimits(flags=flags)
    return bool(kernel32.SetInformationJobObject(handle, 9, byref(limits), c_uint32(sizeof(limits))))


def own_job_object(worker: str) -> Any:
    """Put this worker into a named job object: what it starts ends with it."""
    handle = new_job_object("queuectl-" + worker)
    if not kernel32.AssignProcessToJobObject(handle, c_void_p(kernel32.GetCurrentProcess())):
        raise OSError("Windows does not let this worker into a job object")
    return handle


def spare_leftovers(job_object: Any) -> None:
    """Before a worker leaves in peace: what its jobs left running is left alone."""
    limit_job_object(job_object, BREAKAWAY_OK)


def job_object_lives(worker: str) -> bool:
    """True while processes of a (dead) worker's job object live."""
    handle = kernel32.OpenJobObjectW(c_uint32(0x4), 0, "queuectl-" + worker)
    if not handle:
        return False
    active = active_processes(c_void_p(handle))
    kernel32.CloseHandle(c_void_p(handle))
    return active > 0


def active_processes(handle: Any) -> int:
    accounting = JobAccounting()
    kernel32.QueryInformationJobObject(handle, 1, byref(accounting), c_uint32(sizeof(accounting)), None)
    return int(accounting.active)


def used_by(handle: Any) -> Used:
    """CPU seconds of all that a job object has held, and the most bytes that one of its processes had."""
    accounting, limits = JobAccounting(), JobLimits()
    query = kernel32.QueryInformationJobObject
    told = query(handle, 1, byref(accounting), c_uint32(sizeof(accounting)), None)
    known = query(handle, 9, byref(limits), c_uint32(sizeof(limits)), None)
    cpu = sum(accounting.times[:2]) / 1e7  # user and kernel, in 100 ns
    return cpu if told else None, int(limits.peak_process) or None if known else None


def program_name(pid: int) -> str:
    """What runs as *pid*, "" where that is unknown."""
    name = create_unicode_buffer(32768)
    process = c_void_p(kernel32.OpenProcess(c_uint32(0x1000), 0, c_uint32(pid)))
    if process:
        kernel32.QueryFullProcessImageNameW(process, c_uint32(0), name, byref(c_uint32(len(name))))
        kernel32.CloseHandle(process)
    return os.path.basename(name.value)


def processes_of(handle: Any) -> List[int]:
    """The pids in a job object."""
    found = JobProcesses()
    kernel32.QueryInformationJobObject(handle, 3, byref(found), c_uint32(sizeof(found)), None)
    return [int(pid) for pid in found.pids[: found.listed]]


def memory_available() -> Optional[int]:
    """Bytes of memory that are not in use."""
    status = MemoryStatus(length=sizeof(MemoryStatus))
    return int(status.physical_available) if kernel32.GlobalMemoryStatusEx(byref(status)) else None
