import { spawn } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { bootLab } from "./boot.mjs";
import { readEnvironment } from "./environment.mjs";
import { LabError } from "./failure.mjs";
import { readHostsFile } from "./hosts-file.mjs";
import { ensureImage } from "./image.mjs";
import { Interruption, sharesTerminal } from "./interruption.mjs";
import { pause } from "./process.mjs";
import { sshArguments } from "./remote.mjs";
import { guestProcess, upDirectories, upDirectory } from "./runtime.mjs";
import { installPackages } from "./setup.mjs";

/** The command line: one function per verb, each ends in an exit status. */

const USAGE = `usage:
  lab run --hosts FILE.json -- COMMAND…   boot, run COMMAND with LVS_LAB set, take down; COMMAND's exit status
  lab up --hosts FILE.json                boot and stay; prints the line that sets LVS_LAB
  lab exec HOST -- COMMAND…               run COMMAND on HOST
  lab ssh HOST                            log in on HOST
  lab down [--hosts FILE.json]            end what \`lab up\` started
  lab setup                               install what is missing, build the image (as root)`;

/** @param {string[]} argv @returns {Promise<number>} */
export async function main([verb, ...rest]) {
    const split = rest.indexOf("--");
    const own = split < 0 ? rest : rest.slice(0, split);
    const command = split < 0 ? [] : rest.slice(split + 1);
    switch (verb) {
        case "run":
            return runCommand(hostsOption(own, "run"), command);
        case "up":
            return up(hostsOption(own, "up"));
        case "exec":
            return onHost(own, command, false);
        case "ssh":
            return onHost(own, command, true);
        case "down":
            return down(own);
        case "setup":
            return interruptible(async (stop) => {
                installPackages();
                await ensureImage(stop.signal);
                return 0;
            });
        case "help":
        case "--help":
        case "-h":
            process.stdout.write(`${USAGE}\n`);
            return 0;
        default:
            throw usage(verb === undefined ? "no verb given" : `unknown verb ${verb}`);
    }
}

/** @param {string} hostsFile @param {string[]} command @returns {Promise<number>} */
async function runCommand(hostsFile, command) {
    if (command.length === 0) throw usage("run: no COMMAND given after --");
    return interruptible(async (stop) => {
        const lab = await bootLab(hostsFile, { signal: stop.signal });
        try {
            return await child(command[0], command.slice(1), { ...withoutNpm(process.env), LVS_LAB: lab.file }, stop);
        } finally {
            await lab.down();
        }
    });
}

/** @param {string} hostsFile @returns {Promise<number>} */
async function up(hostsFile) {
    const directory = upDirectory(hostsFile);
    const copy = join(directory, "hosts.json");
    const text = JSON.stringify(readHostsFile(hostsFile));
    if (guestProcess(directory) === undefined || !existsSync(copy)) {
        return interruptible(async (stop) => {
            const lab = await bootLab(hostsFile, { up: true, signal: stop.signal });
            writeFileSync(copy, text);
            lab.keep();
            process.stdout.write(`export LVS_LAB=${lab.file}\n`);
            return 0;
        });
    }
    if (readFileSync(copy, "utf8") !== text) {
        throw new LabError(
            `${hostsFile} has changed since its lab was booted: \`lab down --hosts ${hostsFile}\` first`,
        );
    }
    process.stdout.write(`export LVS_LAB=${join(directory, "lab.json")}\n`);
    return 0;
}

/** @param {(stop: Interruption) => Promise<number>} work @returns {Promise<number>} */
async function interruptible(work) {
    const stop = new Interruption();
    try {
        return await work(stop);
    } catch (error) {
        // What failed because we were told to stop is not worth an error.
        if (stop.status !== undefined) return stop.status;
        throw error;
    }
}

/** @param {string[]} own @param {string[]} command @param {boolean} terminal @returns {Promise<number>} */
async function onHost(own, command, terminal) {
    const verb = terminal ? "ssh" : "exec";
    const { hosts, rest } = options(own);
    if (rest.length !== 1) throw usage(`${verb}: exactly one HOST`);
    if (!terminal && command.length === 0) throw usage("exec: no COMMAND given after --");
    const environment = readEnvironment(findLab(hosts));
    const args = sshArguments(environment, rest[0], command, { terminal: terminal && process.stdin.isTTY === true });
    return child("ssh", args, process.env, new Interruption());
}

/** @param {string[]} own @returns {Promise<number>} */
async function down(own) {
    const { hosts, rest } = options(own);
    if (rest.length > 0) throw usage(`down: unknown argument ${rest[0]}`);
    const running = upDirectories();
    const named = hosts === undefined ? dirname(process.env.LVS_LAB ?? "") : upDirectory(hosts);
    const directories = hosts !== undefined || running.includes(named) ? [named] : running;
    for (const directory of directories) {
        const pid = guestProcess(directory);
        if (pid !== undefined) process.kill(pid, "SIGTERM");
        while (existsSync(directory) && guestProcess(directory) !== undefined) await pause(20);
        // Its keeper removes the directory last.
        for (let waited = 0; existsSync(directory) && waited < 5000; waited += 20) await pause(20);
    }
    return 0;
}

/** LVS_LAB's lab, or the one that `lab up` keeps. @param {string | undefined} hostsFile */
function findLab(hostsFile) {
    if (hostsFile !== undefined) return join(upDirectory(hostsFile), "lab.json");
    if (process.env.LVS_LAB) return process.env.LVS_LAB;
    const found = upDirectories();
    if (found.length === 1) return join(found[0], "lab.json");
    throw new LabError(
        found.length === 0
            ? "no lab is up: start one with `lab up --hosts FILE.json`, or set LVS_LAB"
            : "more than one lab is up: name one with --hosts FILE.json or LVS_LAB",
    );
}

/**
 * @param {string} program @param {string[]} args @param {NodeJS.ProcessEnv} env @param {Interruption} stop
 * @returns {Promise<number>} its exit status as a shell would give it
 */
function child(program, args, env, stop) {
    return new Promise((done) => {
        const started = spawn(program, args, { stdio: "inherit", env, detached: !sharesTerminal() });
        stop.passTo(started);
        // As a shell would: 127 for what is not there, 126 for what cannot be run.
        started.on("error", (error) => {
            const missing = /** @type {NodeJS.ErrnoException} */ (error).code === "ENOENT";
            process.stderr.write(`lab: ${program}: ${missing ? "command not found" : error.message}\n`);
            done(missing ? 127 : 126);
        });
        started.on("exit", (code, signal) => done(code ?? 128 + (signal ? constants.signals[signal] : 0)));
    });
}

/** COMMAND is the user's: what npm tells its own scripts would change how npm and others behave in it. @param {NodeJS.ProcessEnv} env */
function withoutNpm(env) {
    return Object.fromEntries(Object.entries(env).filter(([name]) => !/^npm_/i.test(name) && name !== "INIT_CWD"));
}

/** @param {string[]} args */
function options(args) {
    const at = args.indexOf("--hosts");
    if (at < 0) return { hosts: undefined, rest: args };
    if (args[at + 1] === undefined) throw usage("--hosts: no FILE given");
    return { hosts: fromWhereTheUserIs(args[at + 1]), rest: [...args.slice(0, at), ...args.slice(at + 2)] };
}

/** @param {string[]} args @param {string} verb */
function hostsOption(args, verb) {
    const { hosts, rest } = options(args);
    if (hosts === undefined) throw usage(`${verb}: --hosts FILE.json is missing`);
    if (rest.length > 0) throw usage(`${verb}: unknown argument ${rest[0]} (COMMAND follows --)`);
    return hosts;
}

/** npm runs scripts in the package's directory and tells where it was called. @param {string} path */
function fromWhereTheUserIs(path) {
    const called = process.env.npm_lifecycle_event ? process.env.INIT_CWD : undefined;
    return isAbsolute(path) || !called || existsSync(path) ? resolve(path) : resolve(called, path);
}

/** @param {string} message */
function usage(message) {
    return new LabError(`${message}\n${USAGE}`);
}
