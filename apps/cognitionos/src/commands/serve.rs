//! `serve`: be the node of the data folder, one of those that share a database, or a worker of some.

mod hooks;
mod post;
mod voice;
mod worker;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::Context as _;
use cog_node::Told;
use cog_wire::Server;
use tokio::signal::unix::{SignalKind, signal};

use self::post::{Post, posts};
use self::voice::{Voice, say, show};
use crate::cli::Common;
use crate::cli::nodes::{Role, ServeArgs};
use crate::failure::{Exit, Failure};
use crate::system::env;
use crate::terminal::Terminal;

/// How often it is looked whether somebody wants the node to end.
const LOOK: Duration = Duration::from_millis(100);

pub(crate) fn serve(
    args: &ServeArgs,
    common: &Common,
    terminal: &Terminal,
) -> anyhow::Result<Exit> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.thread_stack_size(cog_base::STACK_BYTES).enable_all().build();
    let runtime = runtime.context("cannot start the workers")?;
    let ends = ends(&runtime).context("cannot listen to signals")?;
    if args.role == Role::Worker {
        if args.hooks.hooks.is_some() {
            let (why, advice) = ("a worker takes no webhooks", "leave --hooks away, or --role");
            return Err(Failure::advise(Exit::BadInput, why, advice));
        }
        return worker::work(args, &name(args), (&runtime, &ends), terminal);
    }
    let (tell, heard) = channel();
    let mut posts = posts(args, &common.data)?;
    let are_scheduled = args.role == Role::Scheduler;
    let counter = are_scheduled.then(|| worker::counter(args, posts.len(), &runtime, terminal));
    let counter = counter.transpose()?;
    for (post, office) in posts.iter_mut().zip(counter.iter().flat_map(|it| &it.offices)) {
        post.office = Some(Arc::clone(office));
    }
    for (place, post) in posts.iter_mut().enumerate() {
        post.begin(args, &runtime, (place, &tell), terminal)?;
    }
    while ends.try_recv().is_err() {
        match heard.recv_timeout(LOOK) {
            Ok((place, told)) => hear(&posts, place, &told, terminal),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
        for (place, post) in posts.iter_mut().enumerate().filter(|(_, post)| post.is_due()) {
            post.begin(args, &runtime, (place, &tell), terminal)?;
        }
        counter.iter().for_each(|it| it.show(|place| voice(&posts, place, terminal)));
    }
    say(terminal, "stopping", "when what is under way is over", &[]);
    posts.iter_mut().filter_map(|post| post.hooks.take()).for_each(Server::stop);
    counter.iter().for_each(worker::Open::close);
    // At once, so that none waits for another's effects.
    std::thread::scope(|threads| {
        for running in posts.iter_mut().filter_map(|post| post.running.take()) {
            threads.spawn(|| running.stop());
        }
    });
    heard.try_iter().for_each(|(place, told)| hear(&posts, place, &told, terminal));
    counter.into_iter().for_each(worker::Open::stop);
    say(terminal, "stopped", "every tenant was given back", &[]);
    Ok(Exit::Done)
}

/// What a node or a worker is called among others.
fn name(args: &ServeArgs) -> String {
    args.node.clone().or_else(|| env("HOSTNAME")).unwrap_or_else(|| "node".to_owned())
}

fn voice<'a>(posts: &'a [Post], place: usize, terminal: &'a Terminal) -> Voice<'a> {
    Voice { terminal, database: posts.get(place).and_then(Post::name) }
}

fn hear(posts: &[Post], place: usize, told: &Told, terminal: &Terminal) {
    if let Some(outgoing) = posts.get(place).and_then(|post| post.outgoing.as_ref()) {
        outgoing.hear(told);
    }
    show(&voice(posts, place, terminal), told);
}

/// Hears of SIGTERM and Ctrl-C.
pub(crate) fn ends(runtime: &tokio::runtime::Runtime) -> std::io::Result<Receiver<()>> {
    let (end, ends) = channel();
    let _inside = runtime.enter();
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let (mut stream, end) = (signal(kind)?, end.clone());
        runtime.spawn(async move {
            while stream.recv().await.is_some() {
                let _ = end.send(());
            }
        });
    }
    Ok(ends)
}
