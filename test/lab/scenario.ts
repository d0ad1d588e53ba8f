/** What every topology promises, from nothing to nothing: one lab, one stack, the example's own files. */
import { join } from "node:path";
import type { PulumiFn } from "@pulumi/pulumi/automation";
import { type Edit, ProgramText } from "../support/edit";
import { type Lab, root, startLab } from "../support/lab";
import { type Answers, answersOf, startLoad } from "../support/load";
import { secretsShown } from "../support/secrets";
import { comparable, type Snapshot, snapshots } from "../support/snapshot";
import { makeStack, type TestStack } from "../support/stack";

export interface Topology {
    /** The directory under examples/. */
    example: string;
    /** The director, and the names of the real servers with their shares as declared. */
    director: string;
    shares: Answers;
    /** How far from the exact share a count may be. */
    tolerance: number;
    /** Starts a server that answers with its host's name. */
    serve: string;
    /** A request from the client to a VIP: prints the answer, fails unless there is one. */
    request(vip: string): string;
    /** Resources that `up` creates: director, service and real servers. */
    resources: number;
    /** Another weight for the first real server, and the shares then. */
    weight: { edit: Edit; shares: Answers };
    /** The service's port. */
    port: number;
    /** The scheduler as it is written. */
    scheduler: string;
    /** What a hand undoes of what was set up; how to see that it is missing; where. */
    control: {
        what: string;
        undo: { hosts: string[]; script: string };
        look: { host: string; script: string; good: string | RegExp };
    };
}

export interface Running {
    lab: Lab;
    stack: TestStack;
}

const VIP = "10.77.1.100";
const OTHER_VIP = "10.77.1.101";
const CLIENT = "client";

/** @param more further promises of this topology, kept while everything is as the example declares it */
export function promises(topology: Topology, more: (running: Running) => void = () => {}): void {
    const directory = join(root, "examples", topology.example);
    const realServers = Object.keys(topology.shares);
    const service = (vip: string) => `-t ${vip}:${topology.port}`;
    const running = {} as Running;
    let before: Record<string, Snapshot>;
    let text = ProgramText.of(join(directory, "index.ts"));

    /** Edits the program that is there by now. */
    const edit = async (...edits: Edit[]): Promise<void> => {
        text = text.edited(...edits);
        await running.stack.use(text.load(running.stack.directory));
    };
    const expectShares = async (shares: Answers, vip = VIP, rounds = 4): Promise<void> => {
        const weights = Object.values(shares).reduce((sum, each) => sum + each, 0);
        const answers = await answersOf(running.lab, CLIENT, topology.request(vip), weights * rounds);
        expect(Object.keys(answers).sort()).toEqual(Object.keys(shares).sort());
        for (const [host, share] of Object.entries(shares)) {
            expect({ host, off: Math.abs(answers[host]! - share * rounds) <= topology.tolerance, answers }).toEqual({
                host,
                off: true,
                answers,
            });
        }
    };
    const onDirector = (script: string) => running.lab.sh(topology.director, script);
    const connections = async (vip = VIP): Promise<number> => {
        // The kernel adds its counters up every two seconds.
        const stats = await onDirector(`sleep 4; ipvsadm -Ln --stats --exact ${service(vip)}`);
        return Number(/^TCP\s+\S+\s+(\d+)/m.exec(stats)?.[1]);
    };
    const rules = (vip = VIP) => onDirector(`ipvsadm -Sn | grep -e '${service(vip)}' || true`);
    const look = () => running.lab.run(topology.control.look.host, topology.control.look.script);

    beforeAll(async () => {
        running.lab = await startLab(join(directory, "lab.json"));
        const { program } = require(join(directory, "index.ts")) as { program: PulumiFn };
        running.stack = await makeStack({
            program,
            from: directory,
            name: "lab",
            config: { "lvs:hosts": running.lab.lvsHosts(topology.director, ...realServers) },
        });
        await Promise.all(realServers.map((host) => running.lab.sh(host, topology.serve)));
        before = await snapshots(running.lab);
    });
    afterAll(async () => {
        await running.stack?.remove();
        await running.lab?.down();
    });

    test("preview announces the topology and touches nothing", async () => {
        const { changes } = await running.stack.preview();
        expect(changes).toEqual({ create: topology.resources + 1 });
        expect(await snapshots(running.lab)).toEqual(before);
    });

    test("up makes it from nothing", async () => {
        const { changes } = await running.stack.up();
        expect(changes).toEqual({ create: topology.resources + 1 });
    });

    test("requests through the VIP reach every real server in the scheduler's proportion", async () => {
        await expectShares(topology.shares);
    });

    more(running);

    test("a second up and a refresh change nothing", async () => {
        const { changes } = await running.stack.up();
        expect(changes).toEqual({});
        expect((await running.stack.refresh()).changes).toEqual({});
    });

    test(`${topology.control.what} is what makes it work, and what refresh finds missing and up repairs`, async () => {
        expect((await look()).stdout).toMatch(topology.control.look.good);
        const { hosts, script } = topology.control.undo;
        await Promise.all(hosts.map((host) => running.lab.sh(host, script)));
        expect((await look()).stdout).not.toMatch(topology.control.look.good);
        const { changes } = await running.stack.up({ refresh: true });
        expect(changes).toEqual({ update: expect.any(Number) });
        expect((await look()).stdout).toMatch(topology.control.look.good);
    });

    test("scheduler, persistence and weight are edited in place, and no request of a running load fails", async () => {
        const earlier = await connections();
        expect(earlier).toBeGreaterThan(0);
        const load = await startLoad(running.lab, CLIENT, topology.request(VIP));

        await edit([`scheduler: "${topology.scheduler}",`, 'scheduler: "rr", persistence: { timeout: 120 },']);
        expect((await running.stack.up()).changes).toEqual({ update: 1 });
        expect(await rules()).toContain(`-A ${service(VIP)} -s rr -p 120\n`);

        await edit(['scheduler: "rr", persistence: { timeout: 120 },', 'scheduler: "wrr",'], topology.weight.edit);
        expect((await running.stack.up()).changes).toEqual({ update: 2 });
        expect(await rules()).toContain(`-A ${service(VIP)} -s wrr\n`);

        const { failures, answers, requests } = await load.stop();
        expect({ failures, answered: Object.values(answers).reduce((sum, each) => sum + each, 0) }).toEqual({
            failures: "",
            answered: requests,
        });
        expect(Object.keys(answers).sort()).toEqual(realServers);
        // A service that is made anew counts from 0.
        expect(await connections()).toBeGreaterThanOrEqual(earlier + requests);
        await expectShares(topology.weight.shares);
    });

    test("another key replaces the service and its real servers", async () => {
        await edit([VIP, OTHER_VIP]);
        const { changes } = await running.stack.up();
        expect(changes).toEqual({ replace: realServers.length + 1 });
        await expectShares(topology.weight.shares, OTHER_VIP);
        expect(await rules(VIP)).toBe("");
        for (const host of [topology.director, ...realServers]) {
            expect(await running.lab.sh(host, "ip -o addr show")).not.toContain(`${VIP}/`);
        }
    });

    test("destroy leaves every host as it was found", async () => {
        await running.stack.destroy();
        const [expected, found] = comparable(before, await snapshots(running.lab));
        expect(found).toEqual(expected);
        expect(await secretsShown(running.lab, running.stack)).toEqual([]);
    });
}
