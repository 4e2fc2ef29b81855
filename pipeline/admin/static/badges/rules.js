/* The rules editor: the key paths follow the event type, and the value's field follows the key path.
 * The page works without this: it then offers all key paths, and the server checks what was chosen. */
"use strict";

(() => {
    const TRUE_WORDS = ["true", "True", "yes", "Yes", "+"];
    const FALSE_WORDS = ["false", "False", "no", "No", "-"];

    document.addEventListener("DOMContentLoaded", () => {
        const data = document.getElementById("rules-editor");
        const eventType = document.querySelector("select[data-event-type]");
        if (data && eventType) {
            start(JSON.parse(data.textContent), eventType);
        }
    });

    function start({ types, words }, eventType) {
        const selects = () => document.querySelectorAll("select[data-rule-path]");

        const followEventType = () => {
            const chosen = types[eventType.value];
            showMeaning(chosen, eventType.value);
            selects().forEach((select) => {
                offerPaths(select, chosen ? chosen.paths : {}, words);
                followPath(select);
            });
        };
        const followPath = (select) => {
            const chosen = types[eventType.value];
            offerValue(select.closest("tr"), chosen ? chosen.paths[select.value] : undefined, words);
        };

        eventType.addEventListener("change", followEventType);
        // On the document, so that rows added later need nothing more.
        document.addEventListener("change", (event) => {
            if (event.target.matches("select[data-rule-path]")) {
                followPath(event.target);
            }
        });
        followEventType();
    }

    function showMeaning(type, name) {
        const place = document.getElementById("event-type-meaning");
        const small = document.createElement("span");
        small.className = "block text-xs text-base-500 break-words";
        small.textContent = name;
        place.replaceChildren(type ? type.meaning : "", small);
    }

    /* A path that was chosen before and is not in this event type stays, and says so; the server refuses it in words. */
    function offerPaths(select, paths, words) {
        const chosen = select.value;
        const options = [new Option(words.choose, "")];
        for (const [path, type] of Object.entries(paths)) {
            options.push(new Option(`${path} (${type})`, path));
        }
        if (chosen && !(chosen in paths)) {
            options.push(new Option(`${chosen} (${words.foreign})`, chosen));
        }
        select.replaceChildren(...options);
        select.value = chosen;
    }

    function offerValue(row, type, words) {
        const input = row.querySelector("input[data-rule-value]");
        const choice = row.querySelector("select[data-rule-choice]");
        if (type === "boolean") {
            input.value = spelled(input.value);
            input.type = "hidden";
            if (choice) {
                choice.value = input.value;
            } else {
                input.after(newChoice(row, input, words));
            }
            return;
        }
        if (choice) {
            choice.closest("[data-rule-choice-box]").remove();
            input.value = "";
        }
        input.type = type === "integer" && /^-?\d*$/.test(input.value) ? "number" : "text";
    }

    function spelled(text) {
        return TRUE_WORDS.includes(text) ? "true" : FALSE_WORDS.includes(text) ? "false" : "";
    }

    /* True or false, looking like the operator beside it; the input, hidden meanwhile, is what is sent. */
    function newChoice(row, input, words) {
        const box = row.querySelector("select[data-rule-operator]").parentElement.cloneNode(true);
        const choice = box.querySelector("select");
        box.dataset.ruleChoiceBox = "";
        choice.removeAttribute("name");
        choice.removeAttribute("id");
        choice.removeAttribute("data-rule-operator");
        choice.dataset.ruleChoice = "";
        choice.setAttribute("aria-label", words.value);
        choice.replaceChildren(
            new Option(words.choose, ""),
            new Option(words.true, "true"),
            new Option(words.false, "false"),
        );
        choice.value = input.value;
        choice.addEventListener("change", () => {
            input.value = choice.value;
        });
        return box;
    }
})();
