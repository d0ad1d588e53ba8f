/** Debian packages that are missing, by the commands they bring: a machine that has the command needs no package. */
import { existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { run } from "./children.mjs";
import { which } from "./command.mjs";
import { unless } from "./lock.mjs";
import { Problem } from "./problem.mjs";
import { step } from "./progress.mjs";
import { afterwards } from "./signals.mjs";

/** What the tests run, apart from the lab, which installs its own. */
const TESTS = {
    sshd: "openssh-server",
    "ssh-keygen": "openssh-client",
    dash: "dash",
    busybox: "busybox",
    git: "git",
    sudo: "sudo",
};

const POLICY = "/usr/sbin/policy-rc.d";
const ENV = { ...process.env, DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C" };

/**
 * Installs what is missing.
 * @param {Record<string, string>} wanted command → package
 */
export async function debianPackages(wanted = TESTS) {
    const missing = () => {
        const packages = Object.keys(wanted).filter((command) => !which(command));
        return packages.length > 0 && [...new Set(packages.map((command) => wanted[command]))];
    };
    await unless("debian", missing, install);
}

/** @param {string[]} packages */
async function install(packages) {
    const names = packages.join(" ");
    if (!which("apt-get")) throw new Problem(`install the equivalents of these Debian packages first: ${names}`);
    if (process.getuid?.() !== 0) throw new Problem(`run as root once, or: sudo apt-get install ${names}`);
    await step(`installing Debian packages: ${names}`, () =>
        withoutServices(async () => {
            if (!haveLists()) await apt(["update"]);
            const args = ["install", "-y", "--no-install-recommends", ...packages];
            // Old lists name versions that are gone by now: fetch them and try once more.
            if ((await apt(args, true)).code !== 0) {
                await apt(["update"]);
                await apt(args);
            }
        }),
    );
    // Tests start their own sshd on loopback. A machine that had none is not to serve one after its next boot either.
    if (packages.includes("openssh-server") && which("systemctl")) await run("systemctl", ["disable", "ssh"]);
}

async function apt(args, mayFail = false) {
    const result = await run("apt-get", ["-q", "-o", "DPkg::Lock::Timeout=300", ...args], { env: ENV });
    if (result.code !== 0 && !mayFail) throw new Problem(`apt-get ${args.join(" ")} failed:\n${result.output}`);
    return result;
}

function haveLists() {
    const lists = "/var/lib/apt/lists";
    return existsSync(lists) && readdirSync(lists).some((name) => /_Packages(\.|$)/.test(name));
}

/** Debian starts a service as it installs it, unless this file says no. */
async function withoutServices(work) {
    if (existsSync(POLICY)) return work();
    return afterwards(
        () => rmSync(POLICY, { force: true }),
        () => {
            writeFileSync(POLICY, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
            return work();
        },
    );
}
