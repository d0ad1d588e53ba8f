import { existsSync } from "node:fs";
import { join } from "node:path";
import { shim, TYPE_PREFIX } from "../../../provider/dynamic/shim";

test("the shim and the types never change: they stand in users' states", () => {
    expect(shim).toEqual({
        Director: 'exports.handler=()=>require("pulumi-lvs/dynamic").director',
        VirtualService: 'exports.handler=()=>require("pulumi-lvs/dynamic").virtualService',
        RealServer: 'exports.handler=()=>require("pulumi-lvs/dynamic").realServer',
    });
    expect(TYPE_PREFIX).toBe("pulumi-nodejs:dynamic/lvs:");
});

test.each(Object.entries(shim))("the shim of %s leads to a provider", (_, text) => {
    const root = join(__dirname, "..", "..", "..");
    const { exports } = require(join(root, "package.json")) as { exports: Record<string, string> };
    expect(existsSync(join(root, exports["./dynamic"]!))).toBe(true);
    const asked: string[] = [];
    const made = { exports: {} as { handler?: () => unknown } };
    const load = (path: string) => {
        asked.push(path);
        return require("../../../provider/dynamic");
    };
    new Function("exports", "require", text)(made.exports, load);
    expect(made.exports.handler!()).toMatchObject({
        check: expect.any(Function),
        diff: expect.any(Function),
        create: expect.any(Function),
        read: expect.any(Function),
        update: expect.any(Function),
        delete: expect.any(Function),
    });
    expect(asked).toEqual(["pulumi-lvs/dynamic"]);
});
