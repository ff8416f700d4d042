/** The little of a nodemailer transport that is needed. */
export interface MailTransport {
  /** Sends one mail. */
  sendMail(mail: Mail): Promise<MailReceipt>
  /** Lets go of connections. */
  close(): void
}

/** A mail, as nodemailer takes it. */
export interface Mail {
  /** Who sends it. */
  readonly from: string
  /** Who gets it. */
  readonly to: readonly string[]
  /** What it is about, in one line. */
  readonly subject: string
  /** The text. */
  readonly text: string
  /** Its own; a mail that is sent again has the same. */
  readonly messageId: string
  /** When it was put together. */
  readonly date: Date
  /** More headers. */
  readonly headers: Readonly<Record<string, string>>
  /** Nothing is read from files. */
  readonly disableFileAccess: true
  /** Nothing is read from addresses. */
  readonly disableUrlAccess: true
}

/** What nodemailer says of a mail that was taken. */
export interface MailReceipt {
  /** Who did not get it, when somebody else did. */
  readonly rejected?: readonly unknown[]
}

/** The little of nodemailer that is needed. */
export interface Mailer {
  /** Makes a transport. */
  createTransport(options: object): MailTransport
}
