import { join } from "node:path";
import { program } from "../../topology/program";
import { type Lab, root, startLab } from "../support/lab";
import { answersOf } from "../support/load";
import { secretsShown } from "../support/secrets";
import { comparable, type Snapshot, snapshots } from "../support/snapshot";
import { makeStack, type TestStack } from "../support/stack";
import { httpRequest, httpServer } from "./http";

const VIP = "10.77.1.100";

/** The root project, as its user has it: no code, a topology in the stack's config. */
describe("the root project with its lab stack", () => {
    let lab: Lab;
    let stack: TestStack;
    let before: Record<string, Snapshot>;

    beforeAll(async () => {
        lab = await startLab(join(root, "topology", "lab.json"));
        stack = await makeStack({
            program,
            from: root,
            name: "lab",
            config: { "lvs:hosts": lab.lvsHosts("lb1", "web1", "web2") },
        });
        await Promise.all(["web1", "web2"].map((host) => lab.sh(host, httpServer)));
        before = await snapshots(lab);
    });
    afterAll(async () => {
        await stack?.remove();
        await lab?.down();
    });

    test("makes the topology of Pulumi.lab.yaml: requests are shared 2 to 1", async () => {
        // The stack, the cluster, a director, a service, two real servers.
        expect((await stack.preview()).changes).toEqual({ create: 6 });
        expect((await stack.up()).changes).toEqual({ create: 6 });
        expect(await answersOf(lab, "client", httpRequest(VIP), 12)).toEqual({ web1: 8, web2: 4 });
        expect(await stack.stack.outputs()).toMatchObject({ directors: { value: ["lb1"] } });
    });

    test("changes nothing when nothing has changed", async () => {
        expect((await stack.up({ refresh: true })).changes).toEqual({});
    });

    test("follows an edit of the config in place", async () => {
        await stack.stack.setConfig("lvs:topology.realServers.web1.weight", { value: "3" }, true);
        expect((await stack.up()).changes).toEqual({ update: 1 });
        expect(await answersOf(lab, "client", httpRequest(VIP), 12)).toEqual({ web1: 9, web2: 3 });
    });

    test("removes a real server that leaves the config, at both ends", async () => {
        await stack.stack.removeConfig("lvs:topology.realServers.web2", true);
        expect((await stack.up()).changes).toEqual({ delete: 1 });
        expect(await answersOf(lab, "client", httpRequest(VIP), 4)).toEqual({ web1: 4 });
        const [, web2] = comparable(before, await snapshots(lab));
        expect(web2["web2"]).toEqual(before["web2"]);
    });

    test("leaves every host as it was found", async () => {
        await stack.destroy();
        const [expected, found] = comparable(before, await snapshots(lab));
        expect(found).toEqual(expected);
        expect(await secretsShown(lab, stack)).toEqual([]);
    });
});
