//! System calls that fail, as in a sandbox.

use std::mem;

/// From here on these system calls fail with `errno`, in this thread and in those it starts. At
/// most 250 calls.
pub(crate) fn refuse(calls: &[libc::c_long], errno: i32) {
    // `bpf_stmt` and `bpf_jump` of the C headers, spelt out.
    let instruction =
        |code: u32, jt: u8, k: u32| libc::sock_filter { code: code as u16, jt, jf: 0, k };
    let give = |verdict| instruction(libc::BPF_RET | libc::BPF_K, 0, verdict);
    let number = mem::offset_of!(libc::seccomp_data, nr) as u32;
    let mut filter = vec![instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, number)];
    for (i, &call) in calls.iter().enumerate() {
        // To the last instruction if it is this one.
        let is = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
        filter.push(instruction(is, (calls.len() - i) as u8, call as u32));
    }
    filter.push(give(libc::SECCOMP_RET_ALLOW));
    filter.push(give(libc::SECCOMP_RET_ERRNO | errno as u32));
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the calls read `program` and its filter, which outlive them.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        let set = libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program);
        assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
    }
}
