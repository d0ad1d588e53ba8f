import { program } from "../../../topology";
test("x", () => { expect(typeof program).toBe("function"); });
