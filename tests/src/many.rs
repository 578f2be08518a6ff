//! Many recorded runs, made from one that really ran.

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use loop_api::journal::{self, Event};

use crate::World;

/// Makes more runs of the only one that a world has: the same journal with another uid and another name, chained anew.
/// Gives their names, oldest first. Their journals are an hour old for the file system.
pub fn multiply(world: &World, count: usize) -> Vec<String> {
    let source = fs::read(world.run_folder().join("journal.jsonl")).expect("a journal");
    let records = journal::decode(&source).expect("a whole journal").records;
    let then = SystemTime::now() - Duration::from_secs(3600);
    let mut names = Vec::new();
    for number in 0..count {
        let uid = loop_core::new_uid();
        let name = format!("copy{number}-{}", &uid[uid.len() - 5..]);
        let mut head = journal::GENESIS.to_owned();
        let mut bytes = Vec::new();
        for mut record in records.clone() {
            if let Event::RunCreated(created) = &mut record.event {
                created.run_id.clone_from(&uid);
                created.name.clone_from(&name);
            }
            record.prev = head;
            let line = journal::encode(&record).expect("a line");
            head = journal::digest(&line[..line.len() - 1]);
            bytes.extend(line);
        }
        let folder = world.data().join("runs").join(format!("run-{uid}"));
        fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join("journal.jsonl");
        fs::write(&path, bytes).expect("a journal");
        File::options().write(true).open(&path).and_then(|file| file.set_modified(then)).expect("a time");
        names.push(name);
    }
    names
}
