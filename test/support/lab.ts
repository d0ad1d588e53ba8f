/** A lab for one test file: hosts with a real IPVS kernel, booted by the lab's own command line, gone with the test. */

import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const root = join(__dirname, "..", "..");

export interface LabHost {
    host: string;
    port: number;
    user: string;
    privateKeyPath: string;
    hostKey: string;
}

export interface Result {
    status: number;
    stdout: string;
    stderr: string;
}

export interface Lab {
    /** What LVS_LAB names. */
    file: string;
    hosts: Record<string, LabHost>;
    /** Runs a shell text on a host; any status. */
    run(host: string, script: string): Promise<Result>;
    /** Runs a shell text on a host and returns its output; throws unless it ends with 0. */
    sh(host: string, script: string): Promise<string>;
    /** The config `lvs:hosts` for these hosts: all, or those named. With a key as text and a password, which are secrets. */
    lvsHosts(...names: string[]): string;
    /** A line of each secret in it: no output and no file may hold one. */
    secrets: string[];
    down(): Promise<void>;
}

/** Says where LVS_LAB is, and stays until its input ends: with this process, however that ends. */
const STAY = `console.log(process.env.LVS_LAB); process.stdin.resume(); process.stdin.on("end", () => process.exit(0));`;

/** Boots the hosts of a file; the caller takes it down in `afterAll`. */
export async function startLab(hostsFile: string): Promise<Lab> {
    const child = spawn(
        process.execPath,
        [join(root, "lab", "bin.mjs"), "run", "--hosts", hostsFile, "--", process.execPath, "-e", STAY],
        { stdio: ["pipe", "pipe", "pipe"] },
    );
    const file = await firstLine(child);
    const { hosts, knownHosts } = JSON.parse(readFileSync(file, "utf8")) as {
        hosts: Record<string, LabHost>;
        knownHosts: string;
    };
    const sockets = mkdtempSync(join(tmpdir(), "lvs-"));
    const run = (host: string, script: string): Promise<Result> =>
        new Promise((resolve, reject) => {
            const { host: address, port, user, privateKeyPath } = hosts[host] ?? fail(`no lab host ${host}`);
            const options = [
                ...[`UserKnownHostsFile=${knownHosts}`, "BatchMode=yes", "LogLevel=ERROR"],
                // One handshake for each host: it is what costs an emulated processor most.
                ...["ControlMaster=auto", `ControlPath=${sockets}/%p`, "ControlPersist=yes"],
                ...["ServerAliveInterval=10", "ServerAliveCountMax=6"],
            ];
            const ssh = spawn("ssh", [
                ...["-F", "none", "-i", privateKeyPath, "-p", String(port)],
                ...options.flatMap((option) => ["-o", option]),
                `${user}@${address}`,
                "sh",
            ]);
            const result: Result = { status: 255, stdout: "", stderr: "" };
            ssh.stdout.setEncoding("utf8").on("data", (text: string) => {
                result.stdout += text;
            });
            ssh.stderr.setEncoding("utf8").on("data", (text: string) => {
                result.stderr += text;
            });
            ssh.on("error", reject);
            ssh.on("close", (status) => resolve({ ...result, status: status ?? 255 }));
            ssh.stdin.on("error", () => {});
            ssh.stdin.end(script);
        });
    const password = `pwd/${randomBytes(9).toString("hex")}+`;
    const keys = Object.values(hosts).map(({ privateKeyPath }) => readFileSync(privateKeyPath, "utf8"));
    return {
        file,
        hosts,
        run,
        secrets: [password, ...new Set(keys.map((key) => key.split("\n")[4]!))],
        async sh(host, script) {
            const { status, stdout, stderr } = await run(host, script);
            if (status !== 0) throw new Error(`${host}: status ${status} of ${script}\n${stdout}${stderr}`);
            return stdout;
        },
        lvsHosts: (...names) =>
            JSON.stringify(
                Object.fromEntries(
                    Object.entries(hosts)
                        .filter(([name]) => names.length === 0 || names.includes(name))
                        .map(([name, { privateKeyPath, ...connection }]) => [
                            name,
                            // Emulated hosts beside other work take their time.
                            {
                                ...connection,
                                privateKey: readFileSync(privateKeyPath, "utf8"),
                                password,
                                perDialTimeout: 120,
                            },
                        ]),
                ),
            ),
        down: () =>
            new Promise((resolve) => {
                const end = () => {
                    // What shared the connections ends with the hosts.
                    rmSync(sockets, { recursive: true, force: true });
                    resolve();
                };
                child.once("close", end);
                if (child.exitCode !== null) end();
                child.stdin?.end();
            }),
    };
}

function firstLine(child: ChildProcess): Promise<string> {
    return new Promise((resolve, reject) => {
        let out = "";
        let trouble = "";
        child.stdout?.setEncoding("utf8").on("data", (text: string) => {
            out += text;
            const line = out.split("\n").find((each) => existsSync(each));
            if (line !== undefined) resolve(line);
        });
        child.stderr?.setEncoding("utf8").on("data", (text: string) => {
            trouble += text;
        });
        child.once("close", (status) => reject(new Error(`the lab ended with ${status}: ${trouble}`)));
    });
}

function fail(message: string): never {
    throw new Error(message);
}
