//! Several threads answer.

use super::*;

fn threads(count: usize, body: impl Fn(usize) + Sync) {
    thread::scope(|scope| (0..count).for_each(|n| drop(scope.spawn({ let body = &body; move || body(n) }))));
}

#[test]
fn a_slow_handler_stops_no_other_thread() {
    const QUICK: usize = 500;
    let page = leaked_page();
    let mut target = Target::new(&[ASK, libc::SYS_getuid], || {
        threads(4, |n| match n {
            0 => page[0].store(call(libc::SYS_getuid, [0; 6]), SeqCst),
            _ => (0..QUICK).for_each(|_| assert_eq!(ask(1), 2)),
        });
    });
    let sup = target.supervisor();
    static DONE: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());
    sup.on("getuid", |n| {
        // Answers only once all the others have been.
        let (done, changed) = &DONE;
        let (done, timeout) = changed.wait_timeout_while(done.lock().unwrap(), Duration::from_secs(60), |done| *done < 3 * QUICK).unwrap();
        n.give(if timeout.timed_out() { -1 } else { *done as i64 })
    });
    sup.on("getppid", |n| {
        *DONE.0.lock().unwrap() += 1;
        DONE.1.notify_all();
        n.give(2)
    });
    threads(4, |_| assert_eq!(sup.run(), 0));
    assert_eq!(page[0].load(SeqCst), 3 * QUICK as i64);
    assert_eq!(target.end(), 0);
}

#[test]
fn of_100000_calls_each_gets_its_own_answer() {
    const EACH: i64 = 25_000;
    let page = Page::new();
    let mut target = Target::new(&[ASK], || {
        threads(4, |n| {
            let right = (0..EACH).filter(|round| ask(round * 4 + n as i64) == round * 4 + n as i64 + 1).count();
            page[n].store(right as i64, SeqCst);
        });
    });
    let sup = target.supervisor();
    let answered = AtomicUsize::new(0);
    sup.on("getppid", |n| n.give(n.args()[0] as i64 + 1));
    threads(3, |_| {
        while sandbox_supervisor_ended(sup.0) == 0 {
            answered.fetch_add(usize::try_from(sup.dispatch(1000)).unwrap(), SeqCst);
        }
    });
    assert_eq!([0, 1, 2, 3].map(|n| page[n].load(SeqCst)), [EACH; 4]);
    assert_eq!(answered.load(SeqCst), 4 * EACH as usize);
    assert_eq!(target.end(), 0);
}

#[test]
fn one_dispatch_answers_all_that_wait_and_a_handler_may_dispatch_itself() {
    let page = leaked_page();
    let mut target = Target::new(&[ASK], || threads(8, |n| page[n].store(ask(n as i64), SeqCst)));
    let sup = target.supervisor();
    let inner = Supervisor(sup.0);
    sup.on("getppid", move |n| {
        let n_th = page[10].fetch_add(1, SeqCst);
        if n_th == 0 {
            page[11].store(sandbox_supervisor_dispatch(same(&inner), 60_000).into(), SeqCst);
        }
        n.give(n.args()[0] as i64)
    });
    let mut answered = 0;
    while sandbox_supervisor_ended(sup.0) == 0 {
        answered += sup.dispatch(1000);
    }
    assert!(page[11].load(SeqCst) >= 1);
    assert_eq!(i64::from(answered) + page[11].load(SeqCst), 8);
    assert_eq!([0, 3, 7].map(|n| page[n].load(SeqCst)), [0, 3, 7]);
    assert_eq!(target.end(), 0);
}
