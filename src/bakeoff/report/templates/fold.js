// Folds the page, which arrives open for readers without scripts; opens what a link points to.
(() => {
  "use strict";
  for (const details of document.querySelectorAll("details.fold:not([data-keep])")) {
    details.open = false;
  }
  const openTarget = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    const own = target.querySelector(":scope > details.fold");
    if (own) own.open = true;
    for (let at = target.closest("details"); at; at = at.parentElement.closest("details")) {
      at.open = true;
    }
    target.scrollIntoView();
  };
  openTarget();
  addEventListener("hashchange", openTarget);
  addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="#"]');
    if (link && link.hash === location.hash) openTarget(); // the same link again
  });
})();
