import { Alerts } from '@evenkeel/alerts'

console.log(typeof Alerts) // => function
