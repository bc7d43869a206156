"""A pause program written byte by byte, because no compiler is on a node and no registry is reachable.

It is process 1 of a sandbox: it holds the namespaces, lets the kernel reap whatever is re-parented to it (SIGCHLD
ignored, for pods that share one process namespace), and exits 0 on SIGTERM or SIGINT. The two signals are blocked and
waited for, which needs no handler; a blocked signal reaches even an init process.

    rt_sigprocmask(SIG_BLOCK, {INT, TERM}); rt_sigaction(SIGCHLD, SIG_IGN)
    while rt_sigtimedwait({INT, TERM}, NULL, NULL) < 0: pass
    exit_group(0)
"""

import struct

BASE_ADDRESS = 0x400000
HEADER_BYTES = 64 + 56
_SIGNAL_SET = struct.pack("<Q", 1 << (2 - 1) | 1 << (15 - 1))
_IGNORE = struct.pack("<QQQQ", 1, 0, 0, 0)
"""struct sigaction as the kernel reads it: handler SIG_IGN, flags, restorer, mask."""
SIGCHLD = 17
SIGNAL_SET_BYTES = 8
_MACHINES = {"amd64": 62, "arm64": 183}


def _x86_64() -> bytes:
    """Registers: eax call, edi, rsi, edx, r10d arguments; rsi and rdi get addresses relative to rip."""

    def immediate(opcode: bytes, value: int) -> bytes:
        return opcode + struct.pack("<i", value)

    eax, edi, r10d = b"\xb8", b"\xbf", b"\x41\xba"
    zero_edi, zero_esi, zero_edx, syscall = b"\x31\xff", b"\x31\xf6", b"\x31\xd2", b"\x0f\x05"
    lea_rsi, lea_rdi = b"\x48\x8d\x35", b"\x48\x8d\x3d"
    size = immediate(r10d, SIGNAL_SET_BYTES)
    block_1 = immediate(eax, 14) + zero_edi
    block_2 = zero_edx + size + syscall
    ignore_1 = immediate(eax, 13) + immediate(edi, SIGCHLD)
    ignore_2 = zero_edx + size + syscall
    wait_1 = immediate(eax, 128)
    wait_2 = zero_esi + zero_edx + size + syscall + b"\x85\xc0"
    leave = immediate(eax, 231) + zero_edi + syscall
    address, jump = 7, 2
    wait_at = len(block_1) + address + len(block_2) + len(ignore_1) + address + len(ignore_2)
    jump_end = wait_at + len(wait_1) + address + len(wait_2) + jump
    set_at = jump_end + len(leave)
    action_at = set_at + len(_SIGNAL_SET)
    code = block_1
    code += immediate(lea_rsi, set_at - (len(code) + address)) + block_2 + ignore_1
    code += immediate(lea_rsi, action_at - (len(code) + address)) + ignore_2 + wait_1
    code += immediate(lea_rdi, set_at - (len(code) + address)) + wait_2
    code += b"\x78" + struct.pack("<b", wait_at - jump_end) + leave
    return code + _SIGNAL_SET + _IGNORE


def _aarch64() -> bytes:
    """Registers: x8 call, x0 to x3 arguments; every instruction is four bytes."""
    code_bytes = 18 * 4
    set_at, action_at, wait_at = code_bytes, code_bytes + len(_SIGNAL_SET), 10 * 4

    def put(register: int, value: int) -> int:
        return 0xD2800000 | value << 5 | register

    def address(register: int, at: int, target: int) -> int:
        offset = target - at
        return 0x10000000 | (offset & 3) << 29 | ((offset >> 2) & 0x7FFFF) << 5 | register

    def branch_if_negative(at: int, target: int) -> int:
        return 0xB7F80000 | (((target - at) >> 2) & 0x3FFF) << 5

    system_call = 0xD4000001
    words = [put(8, 135), put(0, 0), address(1, 8, set_at), put(2, 0), put(3, SIGNAL_SET_BYTES), system_call]
    words += [put(8, 134), put(0, SIGCHLD), address(1, 32, action_at), system_call]
    words += [put(8, 137), address(0, 44, set_at), put(1, 0), put(2, 0), system_call, branch_if_negative(60, wait_at)]
    words += [put(8, 94), system_call]
    return struct.pack(f"<{len(words)}I", *words) + _SIGNAL_SET + _IGNORE


_CODE = {"amd64": _x86_64, "arm64": _aarch64}


def pause_program(architecture: str) -> bytes:
    """A static executable for `amd64` or `arm64` (Go's names, as images use them)."""
    code = _CODE[architecture]()
    size = HEADER_BYTES + len(code)
    identity = b"\x7fELF\x02\x01\x01" + bytes(9)
    entry = BASE_ADDRESS + HEADER_BYTES
    header = identity + struct.pack(
        "<HHIQQQIHHHHHH", 2, _MACHINES[architecture], 1, entry, 64, 0, 0, 64, 56, 1, 0, 0, 0
    )
    read_and_execute = 5
    segment = struct.pack("<IIQQQQQQ", 1, read_and_execute, 0, BASE_ADDRESS, BASE_ADDRESS, size, size, 0x1000)
    return header + segment + code
