/* Browsers start no worker from a file on disk. Where the site is opened so, the search runs in a hidden frame instead. */
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      this.onmessage = null;
      this.waiting = [];
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      this.frame.srcdoc = `<script>
        var answer = data => parent.dispatchEvent(new CustomEvent("from-frame", { detail: { frame: window, data } }));
        window.postMessage = answer;
        window.importScripts = (...urls) => Promise.all(urls.map(url => new Promise(resolve => {
          const script = document.createElement("script");
          script.src = new URL(url, ${JSON.stringify(String(url))});
          script.onload = resolve;
          document.head.append(script);
        })));
      </script><script src="${url}"></script>`;
      this.frame.onload = () => {
        this.ready = true;
        this.waiting.splice(0).forEach(data => this.send(data));
      };
      window.addEventListener("from-frame", ({ detail }) => {
        if (detail.frame !== this.frame.contentWindow) return;
        const message = new MessageEvent("message", { data: detail.data });
        this.dispatchEvent(message);
        if (this.onmessage) this.onmessage(message);
      });
      document.documentElement.append(this.frame);
    }
    postMessage(data) {
      if (this.ready) this.send(data);
      else this.waiting.push(data);
    }
    send(data) {
      const { contentWindow } = this.frame;
      contentWindow.dispatchEvent(new contentWindow.MessageEvent("message", { data }));
    }
    terminate() {
      this.frame.remove();
    }
  };
}
