// What the control API returns of the history of a topic.

/** A frame that a topic keeps. */
export interface KeptMessage {
  position: string
  time: string
  type: 'text' | 'binary'
  text?: string
  base64?: string
}

export interface KeptMessages {
  topic: string
  /** Of the end: `after` it comes what is published later. */
  position: string
  messages: KeptMessage[]
}
