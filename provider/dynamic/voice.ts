/** What the provider says to the user: the engine shows a dynamic provider's output as it is. */

/** One line, for a person. */
export function say(line: string): void {
    console.log(line);
}

/** Errors are for people: the message, without the stack that the SDK would print. */
export function withoutStack<Args extends unknown[], Result>(
    work: (...args: Args) => Promise<Result>,
): (...args: Args) => Promise<Result> {
    return async (...args) => {
        try {
            return await work(...args);
        } catch (error) {
            if (error instanceof Error) error.stack = "";
            throw error;
        }
    };
}
