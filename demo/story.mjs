/** The demo, step by step. */
import { readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { bootLab } from "../lab/index.mjs";
import { root } from "../tools/setup/places.mjs";
import { hold, isInterrupted } from "../tools/setup/signals.mjs";
import { openStack } from "./engine.mjs";
import { differences, LOOK, requests, SERVE, sh, viewOf } from "./hosts.mjs";
import { ending, heading, prompt, show, step, table, tell, verdict } from "./page.mjs";

/** @typedef {import("./topologies.mjs").Topology} Topology */

/** Requests that are sent: a multiple of the sum of the weights. */
const REQUESTS = 12;

/**
 * @param {Topology} topology
 * @returns {Promise<number>} the exit status
 */
export async function demo(topology) {
    const booting = new AbortController();
    const engine = new AbortController();
    /** What is to be taken down again, the latest first. @type {(() => unknown)[]} */
    const open = [];
    const takeDown = async () => {
        for (let down = open.pop(); down !== undefined; down = open.pop()) await down();
    };
    const release = hold(async (signal) => {
        // A terminal has sent its Ctrl-C to the Pulumi CLI too, and a second one would make it drop everything.
        if (signal !== "SIGINT" || !process.stdin.isTTY) engine.abort();
        booting.abort();
        await takeDown();
    });
    try {
        return await story(topology, open, { booting: booting.signal, engine: engine.signal });
    } catch (error) {
        // What failed because of Ctrl-C is no news; whoever takes down ends this process too.
        if (isInterrupted()) await new Promise(() => {});
        throw error;
    } finally {
        await takeDown();
        release();
    }
}

/**
 * @param {Topology} topology
 * @param {(() => unknown)[]} open
 * @param {{ booting: AbortSignal, engine: AbortSignal }} signals
 */
async function story(topology, open, signals) {
    const { client, director, realServers, byHand, otherEnd } = topology;
    const file = join(topology.directory, "index.ts");

    heading(`A Linux Virtual Server by ${topology.title}`);
    tell(topology.about);
    tell(`The program, ${relative(root, file)}:`);
    show(programOf(readFileSync(file, "utf8")));

    heading("Preview, before there is any host");
    tell(`A preview opens no connection: it works in a pull request, and with every host down. Here it runs while the
        virtual hosts boot.`);
    const booting = bootLab(join(topology.directory, "lab.json"), { signal: signals.booting });
    // Taken down also if it is ready only after something else has failed.
    open.push(() =>
        booting.then(
            (lab) => lab.down(),
            () => {},
        ),
    );
    const stack = await step("making a stack", () => openStack(topology.directory, signals.engine));
    open.push(stack.remove);
    prompt("pulumi preview");
    const planned = await step("pulumi preview", () => stack.run("preview"));
    show(planned.output);
    verdict(Object.keys(planned.changes).join() === "create", "everything is to be created");
    const lab = await step("waiting for the virtual hosts", () => booting);

    const names = [director, ...realServers];
    await stack.configure({ "lvs:hosts": lab.environment.hosts });
    tell(`Before anything is done, the hosts of the program are looked at: addresses, links, routes, kernel settings,
        IPVS rules, nft rules, files. Then web servers are started on ${realServers.join(" and ")}.`);
    const before = await step("looking at the hosts, starting web servers", () =>
        onEach(names, async (name) =>
            viewOf(await sh(lab, name, realServers.includes(name) ? `${LOOK}\n${SERVE}` : LOOK)),
        ),
    );

    heading("Up: both ends, in order");
    tell("A real server is made ready before the director sends it anything; the VIP comes to the director.");
    prompt("pulumi up");
    const made = await step("pulumi up", () => stack.run("up"));
    show(made.output);
    verdict(made.changes.create === planned.changes.create, "what the preview announced was created");

    heading("It works: requests through the VIP");
    const [answers, rules, side] = await step("requests, looking at director and real server", () =>
        Promise.all([
            requests(lab, client, topology.url, REQUESTS),
            sh(lab, director, "ipvsadm -Ln"),
            sh(lab, byHand.name, otherEnd.command),
        ]),
    );
    prompt(`curl '${topology.url}?[1-${REQUESTS}]'`, client);
    table([
        ["answered by", "requests", "weight"],
        ...[...answers].sort().map(([name, count]) => [name, count, topology.shares[name] ?? "?"]),
    ]);
    verdict(
        inProportion(answers, topology),
        `every request was answered, and shared ${topology.exact ? "" : "about "}as the weights say`,
    );
    prompt("ipvsadm -Ln", director);
    show(rules);
    tell(otherEnd.what);
    prompt(otherEnd.command, byHand.name);
    show(side);
    verdict(otherEnd.has.test(side), "both ends are set up");

    heading("Drift: somebody changes a weight by hand");
    const rule = `${byHand.service} -r ${byHand.realServer} ${byHand.forwarding}`;
    prompt(`ipvsadm -e ${rule} -w ${byHand.wrong}`, director);
    await step("the change by hand", () => sh(lab, director, `ipvsadm -e ${rule} -w ${byHand.wrong}`));
    tell("A refresh reads the kernels into the state; nothing is changed by it.");
    prompt("pulumi refresh");
    const refreshed = await step("pulumi refresh", () => stack.run("refresh"));
    show(refreshed.output);
    tell("And so the next preview shows what differs from the program:");
    prompt("pulumi preview --diff");
    const drifted = await step("pulumi preview --diff", () => stack.run("preview", { diff: true }));
    show(differencesOnly(drifted.output));
    verdict(
        drifted.changes.update === 1 &&
            drifted.output
                .match(/^ +~ weight +: (\d+) => (\d+)$/m)
                ?.slice(1)
                .join() === `${byHand.wrong},${byHand.weight}`,
        `it shows the weight of ${byHand.name}, and nothing else`,
    );

    heading("Up repairs it, in place");
    prompt("pulumi up");
    const repaired = await step("pulumi up, to repair", () => stack.run("up"));
    show(repaired.output);
    const listed = await step("looking at the director", () => sh(lab, director, "ipvsadm -Sn"));
    prompt("ipvsadm -Sn", director);
    show(listed);
    verdict(
        repaired.changes.update === 1 && `${listed} `.replace(/\s/g, " ").includes(`${rule} -w ${byHand.weight} `),
        `${byHand.name} has its weight of ${byHand.weight} again`,
    );

    heading("Another up finds nothing to do");
    prompt("pulumi up");
    const second = await step("pulumi up, again", () => stack.run("up"));
    show(second.output);
    verdict(Object.keys(second.changes).length === 0, "no changes");

    heading("Destroy gives the hosts back as they were");
    tell("Real servers are drained before they are removed from the director, and taken down after that.");
    prompt("pulumi destroy");
    const destroyed = await step("pulumi destroy", () => stack.run("destroy"));
    show(destroyed.output);
    verdict(destroyed.changes.delete === made.changes.create, "everything was deleted");
    const after = await step("looking at the hosts again", () =>
        onEach(names, async (name) => viewOf(await sh(lab, name, LOOK))),
    );
    const found = names.map((name) => ({ name, lines: differences(before[name], after[name]) }));
    table([
        ["host", "looked at", "different"],
        ...found.map(({ name, lines }) => [name, `${Object.values(before[name]).flat().length} items`, lines.length]),
    ]);
    for (const { name, lines } of found) if (lines.length > 0) show(lines.map((line) => `${name}: ${line}`).join("\n"));
    verdict(
        found.every(({ lines }) => lines.length === 0),
        "addresses, links, routes, settings, IPVS rules, nft rules and files are as they were found",
    );
    tell("(Kernel modules stay loaded, with the devices and settings that come with them.)");
    return ending();
}

/** The function alone: without imports and the line that exports it. @param {string} text */
function programOf(text) {
    const imports = text.split("\n").filter((line) => /^import .*pulumi-lvs/.test(line));
    const body = text.slice(text.indexOf("/**"), text.indexOf("\n}\n") + 2);
    return [...imports, "", body].join("\n");
}

/** `--diff` prints every property: here those that differ. @param {string} output */
function differencesOnly(output) {
    return output
        .split("\n")
        .filter((line) => /^ *[-+~] |^\S|^ {4}\d/.test(line))
        .join("\n");
}

/** @template T @param {string[]} names @param {(name: string) => Promise<T>} work @returns {Promise<Record<string, T>>} */
async function onEach(names, work) {
    return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await work(name)])));
}

/** @param {Map<string, number>} answers @param {Topology} topology */
function inProportion(answers, { shares, exact }) {
    const sum = Object.values(shares).reduce((total, share) => total + share, 0);
    const tolerance = exact ? 0 : 1;
    return (
        [...answers.keys()].sort().join() === Object.keys(shares).sort().join() &&
        [...answers.values()].reduce((total, count) => total + count, 0) === REQUESTS &&
        Object.entries(shares).every(
            ([name, share]) => Math.abs(answers.get(name) - (REQUESTS * share) / sum) <= tolerance,
        )
    );
}
