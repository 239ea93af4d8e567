// What every page loads: live parts, plots that can be read, runs that can be chosen, the form that tries an endpoint.
import "./away.js";
import "./figures.js";
import "./keys.js";
import "./live.js";
import "./log.js";
import "./plot.js";
import "./scroll.js";
import "./table.js";
import "./press.js";
import "./try.js";
