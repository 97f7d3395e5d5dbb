// Glyphs of DejaVu Sans at 13 pixels: coverage in 16 steps, all in one strip, row by row. Text of pictures is drawn from it.

export const glyphHeight = 17;
export const characters: string = String.raw` !"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\]^_${'`'}abcdefghijklmnopqrstuvwxyz{|}~µ°²×·λ`;
/** Width of each character, pixels. */
export const advances: readonly number[] = [
  4, 5, 6, 11, 8, 12, 10, 4, 5, 5, 6, 11, 4, 5, 4, 4, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 4, 4, 11, 11, 11, 7, 13, 9, 9, 9,
  10, 8, 7, 10, 10, 4, 4, 9, 7, 11, 10, 10, 8, 10, 9, 8, 8, 10, 9, 13, 9, 8, 9, 5, 4, 5, 11, 6, 6, 8, 8, 7, 8, 8, 5, 8,
  8, 4, 4, 8, 4, 13, 8, 8, 8, 8, 5, 7, 5, 8, 8, 11, 8, 8, 7, 8, 4, 8, 11, 8, 6, 5, 11, 4, 8,
];
/** Two pixels in a byte, deflated. */
export const strip: string = [
  'eNrtmGuME9cVx//jGXtsjx9D1KgtLw/9EJECsfsl/QDEbtWHVJrdiap+CWTXqSK1TVLsSqlUBGxcqqpKQsE0n7aBxSsgCo9uTEvS',
  'XUqxUx6BpM2aJssuKGXNPgNJF49tYEvWOz13ZtZrh+WRVJHaiGt75s69d+bee875nXPGwJ1yp9wpNy/fxSuf+T161alaQGZHd6W2',
  'lZ090U9t8s3xmos1rvj1IzwRPvfZEbaPCTdTqF4/YZ56pq45jR3tuWrrcfqY509cpGtYidg/btjfaKi9jGMrSfnqEYCPwjEWYab/',
  '4IcyPCqfhzeCLzILqTEbbLomu/QC+MwF2Dou0kO6Qy5dj2NZJeLXdY3rmAhxHddmnvORiRBs2yYPUPVpFZI+mQB/uBKX9MoOutLL',
  '9EvzHZXfogs4QQf2kV6TkiS8KIIFqQxPHEv1YzSYnmRWKiq+PPZHmlovjAAjUgro+gkcZfgjfRBze4GTjdSpDOFtIAy4rppreXxG',
  'DJ7Bx8TgZhqyn4c9Dbb8alk8atf3V69eZwd/xPP9NDDgBxbp7dxAAx6mxvi3gWN4Fmh1bHg+DW7aeGz5lgV/Jv0BB2xn8atZh4C1',
  'JbRST/jRe+m4FfvkNrw56+DUDd+x+HomxDhXtsH+nnL3SdrdVhIVwlFhXFmodmHhZSZ29qOGe5K0bE9CSrLP3DRrld6Fqx+Hc7Tq',
  'xl/cfZWatstUGadKTPG2C2m4k/BF6UumFfyShr8khIKtxJe4EaxnSKd8EScpvABx5HKtmD6CgStZ13prDG6qoSdBGDA5Vov7ob9i',
  'bsSjYKkxW7aKATOTvGfnz+LLUJgns0Z6tirF4cja39pSh8EaX9RWhMCU4iBq7QUsCYbYwk1l+1Vv1KYFQrwm5kTqX/ivDZbuNvUq',
  'dBJzPAPzVQjZAXZLF87AuNeVl6yHsIYaDJakjNbOQYwUpE1RT9ybhF2jpjKrFKlymSuxW3YTA+w7AmfWF/WtwkaI53shFMOkfSmL',
  'ITzIMLAPCqUpR6H3wruReNp2AXMqMdl1ab+kj3OZ05r3uUrEE/VEvaqUpuPGylcvJdGXeQezx9rR133EGN7X7eg/4tYnfBFOexK2',
  '4iPYrIS5YbxAggl+jqAm8TEMxJQ13xChtnOuYk9gdajBAE1nMvGHGAb21M9J5feDMHBTnzQAhsFpoAmrLsi1GHgeKpGcGQbAHrKd',
  'g0bL9skkrvaTN3PksVHeSjIJR9aT+X3+redJ86TgcTLvl4/LJAAcEPr3fiWHV0SmgLAaDJkSb1QsDIyGaQwOJ4xW6depJxrR2YTX',
  'bSRBf7QL/q9bFcJgBzMwCwPS/Aj28DmNnJb0PuD8O4HoPA9fBAOEAT8IYWBqN3wPzkWelg8teMzTvlhz/8GZJWt6465u+VyoxYwG',
  'c5N0/Gdo+5b7VO+gmPfsn5P2DokaG+4dJMwShAGJdlYJz3Ga57SYFopNsj/kJNeyDjhoYNAkW/GIdGXrj7sInNUtEdYSM7yiaRIv',
  'ShE4zm6BOPbN9kzKuWsQRXIWUdjzP7p3qSVDk9dCUKEtGhisVhCryGIqQEJblg4MihqzXWQmFVqpgbv737Vczhlnu/dhWCh5MZ8+',
  '5PtTvGZK3FaiK41+39PQrCPDpmQYZIomHJ2Bed8oSIkTnniYdjQqJV2aWdF1ilj9x6YxCISayBTWSCptLUbb9RLujhIzQneURYPa',
  '4kh5EzgdUGDT0DhLg19pRVAWNG+cBMow+E2cfI03Tvt9Cb0I3FWk7j54f0DD5V6QLEhDTLTupE/1RK+kXoWzP4LfYZgin+yYVBgG',
  'yKRsHX3KDw0MaE79CrCd7OIFeA4yV+Q3WCAhF8Gt7SMZn2qVfloUhhqo+U/MnXFJWBg06/SAlVwVg9Ukeq7Ndt5wBGGMw6cirOAN',
  'uUVeNBkz1GxgYBUDg7XgsvfBG8qLOq2kC4tTM2EgFKYxaB00MUjsyREGvGZhkNGPWjxw+5gsywwDb5ytoYtuDixS19Aag22yoRvh',
  'MjNCMkm+UKuBVfoEsS79ssDWb9PC5D1cSRoSlHtIMAyDczkYqVGYwgRF5yKpsESm2cmG0/WKk4qJgdxAWnp2xXwSZyBLfU1AgwLu',
  'pIFBs4KnbG0XZaYra2aGgSvNlxuVajDKL2NcPkojdkmRHwcUgTINOFNT8Wk6Grij1WjQwm7nis0GI3yB7GmYHktWCNqwYO2VRYOX',
  'ScMJKxqwrGpYKL9EXkHIkqxiM0aDxppo4CyZGPBXSTMJ9764z4oGsMIChVww6e9muiJ7EEpETq/Gn0nDk9xruCjbqOGLyZTqMAio',
  'YrYeA0pBTAxI3AYGj7/GMFBJL62kCT9F+mkMWLRuJg15I8Ty8G4IF+K9eUgdUXjWJfAA2ZZoRoN0NRoELadkRYOthBZLiljTw+Sa',
  'sfNbMWAFWt3xvynLmSd5AHjH8j8slILBM4CWBYeMpGgTiXQH1wa27R38m/TYFplJ/6wcU54SRrHeSEbqkyIKkjgqnNt7HA2MQMIg',
  'O1NS9IUaDJJi2cSATdqJ4CisXAhT2ZGYn/M1EwN7mfs92fu7lG18AN8onDm2x93gzhi+mOXatRjYyvwHOBeiaKBY0YBPWdFgCoMe',
  '16k6DIxoMGhFA1XYYCezwJ5ZGdnZHYK/6LxGciLTbipivnpdUuTbP7toxVQzKfKTDcDMf+CM7yJLzkxEME/mMmmurfIYaz+K5ahi',
  'wHJPV5ryik0fyg5y3OS+CkL3RVJEICR0U9huoexiNW3s8ESE8gpaiyt5XaLmzII/BdPwyWXok+117wZXWDO9G+yYwqCTfg72xlDo',
  'ZGjRfjezd4PjZgq2VL/MKr7oiktmNLD3s3cVeutAcwIZRSiCLzLdxAhEdYgyunoMxEsnskZS1GYmRc7+o7RNLtNbqGKgOk/VYqDU',
  'JkU9EPt7sHzC1n2a6CATPYxGleYk03sf4nRS5JxKii6Mrat736XkKaDUC+j+jwiMfIU6/V5mQETp9e2XUzO2OkaVe7K3+QRP/Ob9',
  '8z/GcggDW74+GtyoNFjnYzf5Y6Pq2Gecy5Jbg8ww6Jxewa0Kfxt/ibz93/9dYOuYvN0/oPjyLQY0Rm5/3ks5eCX91uPs6hKL3/mh',
  'GQf01LxRz1zEvFXJpOxpx4RSjQb/h+W9T+m5zI3esHP2mKUCf/ITYuCvEfbKOhDvlP/F8h+D0d6R',
].join('');
