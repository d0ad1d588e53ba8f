import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readConfig } from "../../../provider/dynamic/config";

describe("lvs:onUnreachable and lvs:commandTimeout", () => {
    const home = process.cwd();
    let directory: string;

    const write = (stack: string, project = "name: shop\nruntime: nodejs\n") => {
        writeFileSync(join(directory, "Pulumi.yaml"), project);
        writeFileSync(join(directory, "Pulumi.prod.yaml"), stack);
    };
    const saved = new Map([["lvs:onUnreachable", "forget"]]);
    const read = (stack = "organization/shop/prod") => readConfig((key) => saved.get(key), stack).onUnreachable;

    beforeEach(() => {
        directory = mkdtempSync(join(tmpdir(), "pulumi-lvs-stack-"));
        process.chdir(directory);
    });
    afterEach(() => {
        process.chdir(home);
        rmSync(directory, { recursive: true });
    });

    test("are what the stack's file says now, not what the engine has saved", () => {
        write('config:\n  "lvs:onUnreachable": fail\n  lvs:commandTimeout: "90"\n');
        expect(read()).toBe("fail");
        expect(readConfig(() => undefined, "organization/shop/prod").commandTimeout).toBe(90);
    });

    test("are not set any more once they are taken out of it", () => {
        write("config:\n  lvs:owner: me\n");
        expect(read()).toBe("fail");
    });

    test("are what was saved where the file does not say them in clear, or the project has a default", () => {
        write("config:\n  lvs:onUnreachable:\n    secure: AAAB\n");
        expect(read()).toBe("forget");
        write("config: {}\n", "name: shop\nconfig:\n  lvs:onUnreachable:\n    default: forget\n");
        expect(read()).toBe("forget");
    });

    test("are what was saved where there is no file, or it is another project's", () => {
        expect(read()).toBe("forget");
        write("config: {}\n");
        expect(read("organization/blog/prod")).toBe("forget");
        expect(read("organization/shop/test")).toBe("forget");
        expect(read("somebody")).toBe("forget");
    });

    test("are found from the directory of the program, below the project's", () => {
        write("config:\n  lvs:onUnreachable: fail\n");
        mkdirSync(join(directory, "src"));
        process.chdir(join(directory, "src"));
        expect(read()).toBe("fail");
    });
});
