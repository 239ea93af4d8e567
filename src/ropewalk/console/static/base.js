// Below which path of the server this project's pages lie: nothing, or that of its workspace.
export const BASE = document.documentElement.dataset.base;
