/** Where a secret of the lab's connections was shown, or lies, that only the connections themselves may hold. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Lab } from "./lab";
import type { TestStack } from "./stack";

/** What a secret may look like where it is written down. */
const spellings = (secret: string): string[] => [
    secret,
    Buffer.from(secret).toString("base64").replace(/=+$/, ""),
    encodeURIComponent(secret),
];

/**
 * Looks through all that the engine said, the project's directory (state, history and backups of it, logs), the exported
 * state, and every file that came to be on the hosts; returns the places.
 */
export async function secretsShown(lab: Lab, stack: TestStack, more: Record<string, string> = {}): Promise<string[]> {
    const secrets = [...new Set(lab.secrets.flatMap(spellings))];
    const shownIn = (text: string) => secrets.some((secret) => text.includes(secret));
    const texts: Record<string, string> = {
        ...more,
        "the engine's output": stack.said(),
        "the exported state": stack.exported(),
    };
    const files = readdirSync(stack.directory, { recursive: true, withFileTypes: true }).filter((each) =>
        each.isFile(),
    );
    expect(files.length).toBeGreaterThan(0);
    const found = [
        ...Object.keys(texts).filter((name) => shownIn(texts[name]!)),
        ...files
            .map(({ parentPath, name }) => join(parentPath, name))
            .filter((file) => shownIn(readFileSync(file, "latin1"))),
    ];
    const onHosts = await Promise.all(
        Object.keys(lab.hosts).map(async (host) => {
            // What was there before sshd is the image's.
            const search = `find /etc /var /run /root /home /tmp -xdev -type f -newer /run/sshd.pid -exec grep -slFf - {} + <<'SECRETS'\n${secrets.join("\n")}\nSECRETS\n:`;
            return (await lab.sh(host, search)).split("\n").flatMap((file) => (file === "" ? [] : [`${host}:${file}`]));
        }),
    );
    return [...found, ...onHosts.flat()];
}

/** Keeps every command line and environment that a process on the host has, by looking many times a second. */
export async function watchProcesses(lab: Lab, host: string): Promise<{ stop(): Promise<string> }> {
    const watcher = `import os, time
seen, end = set(), time.time() + 900
while not os.path.exists("/run/watch.stop") and time.time() < end:
    for pid in filter(str.isdigit, os.listdir("/proc")):
        for name in ("cmdline", "environ"):
            try: seen.add(open("/proc/%s/%s" % (pid, name), "rb").read())
            except OSError: pass
    time.sleep(0.05)
open("/run/watch.new", "wb").write(b"\\n".join(seen))
os.rename("/run/watch.new", "/run/watch.seen")`;
    await lab.sh(
        host,
        `rm -f /run/watch.*; cat >/run/watch.py <<'PY'\n${watcher}\nPY\nsetsid python3 /run/watch.py </dev/null >/dev/null 2>&1 &`,
    );
    return {
        stop: () =>
            lab.sh(
                host,
                "touch /run/watch.stop; for i in $(seq 100); do [ ! -e /run/watch.seen ] || break; sleep 0.1; done; tr '\\0' ' ' </run/watch.seen; rm /run/watch.*",
            ),
    };
}
