// A chat in Go with net/http: each event of a socket is a request to one handler.
package main

import (
	"encoding/json"
	"io"
	"log"
	"net/http"
	"strings"
)

type object map[string]any

func main() {
	http.HandleFunc("/ws/chat/", chat)
	log.Fatal(http.ListenAndServe("127.0.0.1:9000", nil))
}

func chat(w http.ResponseWriter, r *http.Request) {
	topic := "chat:" + strings.TrimPrefix(r.URL.Path, "/ws/chat/")
	name := r.URL.Query().Get("name")
	switch r.Header.Get("ce-type") {
	case "framegate.open":
		if name == "" {
			http.Error(w, "expected ?name=", http.StatusBadRequest)
			return
		}
		effects(w, object{"user": name}, object{"subscribe": []string{topic}})
	case "framegate.message":
		frame, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		effects(w, publish(topic, name+": "+string(frame)))
	case "framegate.close":
		effects(w, publish(topic, name+" left"))
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

func publish(topic, text string) object {
	return object{"publish": object{"topic": topic, "text": text}}
}

func effects(w http.ResponseWriter, items ...object) {
	w.Header().Set("content-type", "application/vnd.framegate.effects+json")
	json.NewEncoder(w).Encode(object{"effects": items})
}
