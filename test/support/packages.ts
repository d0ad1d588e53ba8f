/** Debian packages on a lab host, as `apt` would install them: hosts reach nothing, so this machine fetches them. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Lab } from "./lab";

/** Installs packages with what they need, from this machine's own Debian sources. Their services are not started. */
export async function installOn(lab: Lab, host: string, ...names: string[]): Promise<void> {
    const work = mkdtempSync(join(tmpdir(), "lvs-packages-"));
    try {
        writeFileSync(join(work, "status"), await lab.sh(host, "cat /var/lib/dpkg/status"));
        mkdirSync(join(work, "debs", "partial"), { recursive: true });
        const options = [
            `Dir::State::status=${join(work, "status")}`,
            `Dir::Cache::archives=${join(work, "debs")}`,
            "Debug::NoLocking=1",
            // The sandbox's user could not write into our directory.
            "APT::Sandbox::User=root",
        ];
        const words = ["-y", "-q", "--no-install-recommends", "--download-only"];
        execFileSync("apt-get", [...words, ...options.flatMap((option) => ["-o", option]), "install", ...names], {
            stdio: ["ignore", "ignore", "inherit"],
        });
        const debs = readdirSync(join(work, "debs")).filter((name) => name.endsWith(".deb"));
        for (const name of debs) {
            const text = readFileSync(join(work, "debs", name), "base64");
            await lab.sh(host, `mkdir -p /tmp/debs; base64 -d > '/tmp/debs/${name}' <<'DEB'\n${text}\nDEB`);
        }
        await lab.sh(
            host,
            `printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d
DEBIAN_FRONTEND=noninteractive dpkg -i /tmp/debs/*.deb 2>&1; s=$?
rm -rf /tmp/debs /usr/sbin/policy-rc.d; exit $s`,
        );
    } finally {
        rmSync(work, { recursive: true, force: true });
    }
}
