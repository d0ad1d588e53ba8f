#!/usr/bin/env node
/**
 * Takes the golden files anew from the kernel of a lab:
 *
 *     npm run -s lab -- run --hosts test/unit/ipvs/golden/hosts.json -- node test/unit/ipvs/golden/capture.mjs
 *
 * For each tables/NAME.commands the commands are given to a real ipvsadm one by one, and what it and /proc/net/ip_vs
 * print afterwards is written beside them. NAME.rendered, if there, is our own renderer's text for the same table
 * (golden.test.ts holds it to that, and writes it anew under UPDATE_GOLDEN=1): given to `ipvsadm -R` it must make the
 * same table. The rest (timeouts, daemons,
 * connections, version, what is refused and how) goes to host/.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const here = import.meta.dirname;
const tables = join(here, "tables");
const host = join(here, "host");

/** Runs a script on a host; gives its standard output. */
function on(name, script) {
    return execFileSync("npm", ["run", "-s", "lab", "--", "exec", name, "--", "sh", "-c", script], {
        encoding: "utf8",
        stdio: ["ignore", "pipe", "inherit"],
    });
}

const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;
const MARK = "@@ cut here @@";

/** Runs a preparation, then the listings; gives the text of each. */
function listings(name, prepare, commands) {
    const script = [prepare, ...Object.values(commands).map((command) => `echo ${quote(MARK)}; ${command}`)].join("\n");
    const texts = on(name, script).split(`${MARK}\n`).slice(1);
    return Object.fromEntries(Object.keys(commands).map((key, index) => [key, texts[index]]));
}

const quoted = (line) => line.split(" ").map(quote).join(" ");
/** ipvsadm's own order is none where marks or addresses differ by 2^31 or more. */
const sorted = (text) => text.split("\n").sort().join("\n");
const linesOf = (file) => readFileSync(file, "utf8").split("\n").filter((line) => line !== "");
const table = {
    save: "ipvsadm -Sn",
    thresholds: "ipvsadm -Ln --thresholds",
    proc: "cat /proc/net/ip_vs",
};

for (const file of readdirSync(tables).filter((one) => one.endsWith(".commands"))) {
    const name = file.slice(0, -".commands".length);
    const commands = linesOf(join(tables, file)).map(
        (line) => `ipvsadm ${quoted(line)} || echo FAILED: ${quote(line)} >&2`,
    );
    const texts = listings("dir", ["ipvsadm -C", ...commands].join("\n"), table);
    for (const [kind, text] of Object.entries(texts)) {
        writeFileSync(join(tables, `${name}.${kind}`), text);
    }
    const rendered = join(tables, `${name}.rendered`);
    if (existsSync(rendered)) {
        const text = readFileSync(rendered, "utf8");
        const again = listings("dir", `ipvsadm -C; printf %s ${quote(text)} | ipvsadm -R`, table);
        for (const kind of ["save", "thresholds"]) {
            if (sorted(again[kind]) !== sorted(texts[kind])) {
                console.error(`${name}.rendered makes another table:\n${again[kind]}\ninstead of\n${texts[kind]}`);
                process.exitCode = 1;
            }
        }
    }
}

const refused = linesOf(join(here, "refused.commands")).map(
    (line) => `said=$(ipvsadm ${quoted(line)} 2>&1); status=$?; echo "$(echo "$said" | head -1) [$status]"`,
);
const answers = on(
    "dir",
    ["ipvsadm -C; ipvsadm -A -t 192.0.2.1:80; ipvsadm -A -t [2001:db8::1]:80; ipvsadm -A -f 1", ...refused].join("\n"),
);

mkdirSync(host, { recursive: true });
const write = (texts) => {
    for (const [file, text] of Object.entries(texts)) {
        writeFileSync(join(host, file), text);
    }
};

write({ refused: answers });
write(
    listings("dir", "ipvsadm -C", {
        version: "ipvsadm -v",
        "timeouts-default": "ipvsadm -L --timeout",
        "daemons-none": "ipvsadm -L --daemon",
    }),
);
write(
    listings(
        "dir",
        `ipvsadm --set 1200 60 2678400
        ipvsadm --start-daemon master --mcast-interface eth0
        ipvsadm --start-daemon backup --mcast-interface eth0 --syncid 255 --sync-maxlen 100 --mcast-group ff02::81 --mcast-port 65535 --mcast-ttl 255`,
        { "timeouts-set": "ipvsadm -L --timeout", "daemons-both": "ipvsadm -L --daemon" },
    ),
);
write(
    listings(
        "dir",
        `ipvsadm --stop-daemon master; ipvsadm --stop-daemon backup; ipvsadm --set 900 120 300
        ipvsadm --start-daemon master --mcast-interface eth0 --syncid 7 --sync-maxlen 1400 --mcast-group 224.0.0.82 --mcast-port 8849 --mcast-ttl 2`,
        { "daemons-master": "ipvsadm -L --daemon; ipvsadm --stop-daemon master" },
    ),
);

// Connections that live: three open and one finished, through a mark and a plain service, of either family.
const listen = `
import socket, threading, time
def serve(family, address):
    server = socket.socket(family, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(address); server.listen()
    kept = []
    while True: kept.append(server.accept())
for family, address in ((socket.AF_INET, ("10.77.1.10", 8000)), (socket.AF_INET6, ("fd00:1::10", 8000))):
    threading.Thread(target=serve, args=(family, address), daemon=True).start()
time.sleep(30)`;
const connect = `
import socket, time
kept = [socket.create_connection(("10.77.1.10", 8000)) for _ in range(2)]
kept += [socket.create_connection(("fd00:1::10", 8000)) for _ in range(3)]
socket.create_connection(("10.77.1.10", 8000)).close()
time.sleep(30)`;
on("dir", `ipvsadm -C; (setsid python3 -c ${quote(listen)} </dev/null >/dev/null 2>&1 &)
ipvsadm -A -t 10.77.1.10:8000 -s rr; ipvsadm -a -t 10.77.1.10:8000 -r 10.77.1.10:8000 -m -w 3 -x 1000 -y 10
ipvsadm -A -t [fd00:1::10]:8000 -s rr; ipvsadm -a -t [fd00:1::10]:8000 -r [fd00:1::10]:8000 -m -w 4
sleep 1`);
on("client", `(setsid python3 -c ${quote(connect)} </dev/null >/dev/null 2>&1 &)
sleep 2`);
write(
    listings("dir", "", {
        "connections.save": "ipvsadm -Sn",
        "connections.thresholds": "ipvsadm -Ln --thresholds",
        "connections.proc": "cat /proc/net/ip_vs",
    }),
);
